// Judges JSON texts with a validator of npm.
//
//   node validate.mjs NAME        NAME is a member of `validators` below
//
//   in   [{"schema": <a JSON Schema>, "texts": ["<JSON text>", …]}, …]
//   out  [{"verdicts": ["valid" | "invalid" | "unread", …]} | {"refused": "<why>"}, …]
//
// A text that JSON.parse refuses is unread, and so is one that the validator gives up on. A schema that it does not
// load is refused.

import { json } from "node:stream/consumers";
import schemasafe from "@exodus/schemasafe";
import { registerSchema, validate } from "@hyperjump/json-schema/draft-2020-12";
import "@hyperjump/json-schema/draft-07";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";

let unnamed = 0;
const validators = {
  ajv: (schema) => new Ajv.default().compile(schema),
  "ajv-2020": (schema) => new Ajv2020.default().compile(schema),
  schemasafe: (schema) => schemasafe.validator(schema),
  hyperjump: async (schema) => {
    const uri = schema.$id ?? `https://mail.example.com/${++unnamed}`;
    registerSchema(schema, uri);
    const judge = await validate(uri);
    return (value) => judge(value).valid;
  },
};

function verdict(judge, text) {
  try {
    return judge(JSON.parse(text)) ? "valid" : "invalid";
  } catch {
    return "unread";
  }
}

async function judgeAll({ schema, texts }) {
  let judge;
  try {
    judge = await validators[process.argv[2]](schema);
  } catch (error) {
    return { refused: String(error.message ?? error) };
  }
  return { verdicts: texts.map((text) => verdict(judge, text)) };
}

const results = [];
for (const job of await json(process.stdin)) {
  results.push(await judgeAll(job));
}
console.log(JSON.stringify(results));
