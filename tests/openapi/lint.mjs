// Lints OpenAPI documents with the recommended rules of Redocly and Spectral.
//
//   node lint.mjs FILE...          prints a JSON array of {"file", "linter", "rule", "message"}

import { readFileSync } from "node:fs";
import { createConfig, lint } from "@redocly/openapi-core";
import spectral from "@stoplight/spectral-core";
import rulesets from "@stoplight/spectral-rulesets";

const config = await createConfig({ extends: ["recommended"] });
const linter = new spectral.Spectral();
linter.setRuleset({ extends: [[rulesets.oas, "recommended"]] });

const problems = [];
for (const file of process.argv.slice(2)) {
  for (const { ruleId: rule, message } of await lint({ ref: file, config })) {
    problems.push({ file, linter: "Redocly", rule, message });
  }
  for (const { code: rule, message } of await linter.run(readFileSync(file, "utf8"))) {
    problems.push({ file, linter: "Spectral", rule, message });
  }
}
console.log(JSON.stringify(problems));
