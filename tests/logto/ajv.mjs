// Judges JSON texts by JSON Schemas, with Ajv in strict mode.
//
//   node ajv.mjs FILE...          the schema files, each with its own $id
//
//   in   a line:  [{"schema": <a schema, such as {"$ref": "<an $id>"}>, "text": "<JSON text>"}, …]
//   out  a line:  [{"valid": true, "errors": []}, …]         one for each, in order
//
// An error is {"keyword", "pointer"}: the keyword that failed and the JSON pointer of the place in the
// text. What is wrong with a member's name is reported as propertyNames and not once more by the keyword
// inside. Text that is not JSON has one error, keyword "syntax". For a schema that Ajv refuses to compile the
// result is {"refused": "<why>"}.

import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import { job, lines, writeResult } from "./lines.mjs";

const ajv = new Ajv.default({ strict: true, allErrors: true });
for (const file of process.argv.slice(2)) {
  ajv.addSchema(JSON.parse(readFileSync(file, "utf8")));
}

const compiled = new Map();

function validator(schema) {
  const key = JSON.stringify(schema);
  if (!compiled.has(key)) {
    try {
      compiled.set(key, ajv.compile(schema));
    } catch (error) {
      compiled.set(key, error.message);
    }
  }
  return compiled.get(key);
}

function judge({ schema, text }) {
  const validate = validator(schema);
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
