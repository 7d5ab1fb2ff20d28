// Judges messages with the real sendMessageDataGuard of every connector-kit that package.json pins.
//
//   in   a line:  ["<JSON text>", …]
//   out  a line:  [{"4.7.0": true, "5.0.0": true, …}, …]    a verdict for each text and kit, in order
//
// A verdict is true (the guard accepts), false (it rejects), null (JSON.parse says: not JSON), or a
// string: the error, such as a stack overflow, that ended the parser or the guard without a verdict.

import { readFileSync } from "node:fs";
import { job, lines, writeResult } from "./lines.mjs";

const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const guards = await Promise.all(
  Object.keys(dependencies)
    .filter((name) => name.startsWith("kit-"))
    .map(async (name) => {
      const { sendMessageDataGuard } = await import(name);
      return [name.slice("kit-".length), sendMessageDataGuard];
    }),
);

const forAll = (verdict) => Object.fromEntries(guards.map(([version]) => [version, verdict]));

function verdict(guard, value) {
  try {
    return guard.safeParse(value).success;
  } catch (error) {
    return String(error);
  }
}

function judge(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return forAll(error instanceof SyntaxError ? null : String(error));
  }
  return Object.fromEntries(guards.map(([version, guard]) => [version, verdict(guard, value)]));
}

for await (const line of lines()) {
  writeResult(job(line, "an array of JSON texts").map(judge));
}
