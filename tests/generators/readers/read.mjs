// Reads messages with the compiled code of a generator.
//
//   node read.mjs MODULE      MODULE exports read(text)
//
//   in   a line:  the JSON text of a message
//   out  a line:  {"context": …, "encoded": "<JSON text>"} or {"refused": "<why>"}

import { resolve } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { read } = await import(pathToFileURL(resolve(process.argv[2])));

function attempt(text) {
  try {
    return read(text);
  } catch (error) {
    return { refused: String(error.message ?? error) };
  }
}

for (const text of (await textOf(process.stdin)).trimEnd().split("\n")) {
  console.log(JSON.stringify(attempt(text)));
}
