// Writes the code that generators on npm make of the schemas.
//
//   node generate.mjs RECEIVER OPENAPI FOLDER NAME...
//
// RECEIVER is receiver.schema.json, or another JSON Schema with the title MailMessage; OPENAPI is openapi.json. Each
// NAME is a member of `generators` below. It gets a folder FOLDER/NAME.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [receiver, openapi, folder, ...names] = process.argv.slice(2);

// Each generator is imported where it runs: some take a second to load.
async function quicktype(lang, rendererOptions, fileName) {
  const { FetchingJSONSchemaStore, InputData, JSONSchemaInput, quicktypeMultiFile } = await import("quicktype-core");
  const schemas = new JSONSchemaInput(new FetchingJSONSchemaStore());
  await schemas.addSource({ name: "MailMessage", schema: readFileSync(receiver, "utf8") });
  const inputData = new InputData();
  inputData.addInput(schemas);
  const files = await quicktypeMultiFile({ inputData, lang, rendererOptions });
  return Object.fromEntries([...files].map(([name, { lines }]) => [fileName ?? name, lines.join("\n")]));
}

const generators = {
  "quicktype-typescript": () => quicktype("typescript", {}, "model.ts"),
  "quicktype-python": () => quicktype("python", {}, "model.py"),
  "quicktype-go": () => quicktype("go", { package: "main" }, "model.go"),
  "quicktype-java": () => quicktype("java", { package: "mail" }),
  "json-schema-to-typescript": async () => {
    const { compileFromFile } = await import("json-schema-to-typescript");
    return { "model.ts": await compileFromFile(receiver) };
  },
  "openapi-typescript": async () => {
    const { default: openapiTS, astToString } = await import("openapi-typescript");
    return { "model.ts": astToString(await openapiTS(pathToFileURL(openapi))) };
  },
  // It follows no reference: its own documentation resolves them first.
  "json-schema-to-zod": async () => {
    const { jsonSchemaToZod } = await import("json-schema-to-zod");
    const { default: parser } = await import("@apidevtools/json-schema-ref-parser");
    const schema = await parser.dereference(receiver);
    return { "model.ts": jsonSchemaToZod(schema, { module: "esm", name: "MailMessage", type: true }) };
  },
};

for (const name of names) {
  mkdirSync(join(folder, name), { recursive: true });
  for (const [file, text] of Object.entries(await generators[name]())) {
    writeFileSync(join(folder, name, file), text);
  }
}
