// Judges JSON texts by JSON Schemas, with Ajv in strict mode.
//
//   node ajv.mjs FILE...          the schema files; those without an $id are left out
//
//   in   a line:  [{"schema": <a schema, such as {"$ref": "<an $id>"}>, "text": "<JSON text>"}, …]
//                 {"file": "<a schema file>", "text": …} judges by a file without an $id
//   out  a line:  [{"valid": true, "errors": []}, …]         one for each, in order
//
// An error is {"keyword", "pointer"}: the keyword that failed and the JSON pointer of the place in the
// text. What is wrong with a member's name is reported as propertyNames and not once more by the keyword
// inside. Text that is not JSON has one error, keyword "syntax". For a schema that Ajv refuses to compile the
// result is {"refused": "<why>"}.

import { readFileSync } from "node:fs";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import { job, lines, writeResult } from "./lines.mjs";

const options = { strict: true, allErrors: true };
const ajv = new Ajv2020.default(options);
// The default export reads draft-07.
const older = new Ajv.default(options);
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const schemas = process.argv.slice(2).map(read);
ajv.addSchema(schemas.filter(({ $id }) => $id !== undefined));

const compiled = new Map();

function validator(schema, file) {
  const key = file ?? JSON.stringify(schema);
  if (!compiled.has(key)) {
    try {
      const found = file ? read(file) : schema;
      compiled.set(key, (found.$schema?.includes("draft-07") ? older : ajv).compile(found));
    } catch (error) {
      compiled.set(key, error.message);
    }
  }
  return compiled.get(key);
}

function judge({ schema, file, text }) {
  const validate = validator(schema, file);
  if (typeof validate === "string") {
    return { refused: validate };
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return { valid: false, errors: [{ keyword: "syntax", pointer: "" }] };
  }
  const valid = validate(value);
  const errors = (validate.errors ?? [])
    .filter(({ propertyName, keyword }) => propertyName === undefined || keyword === "propertyNames")
    .map(({ keyword, instancePath }) => ({ keyword, pointer: instancePath }));
  return { valid, errors };
}

for await (const line of lines()) {
  writeResult(job(line, "an array of {schema, text}").map(judge));
}
