// What the workers of this folder have in common: one JSON value a line in, one a line out.

/**
 * Yields standard input line by line, and ends when standard input ends.
 *
 * Only "\n" ends a line. (Node's readline would also end one at U+2028, which JSON may hold unescaped.)
 */
export async function* lines() {
  process.stdin.setEncoding("utf8");
  let rest = "";
  for await (const chunk of process.stdin) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    yield* parts;
  }
  if (rest.trim() !== "") {
    yield rest;
  }
}

/** Writes one value as one line. JSON.stringify escapes lone surrogates, so the line is valid UTF-8. */
export function writeResult(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Parses one line, or ends the process and prints what it expected. */
export function job(line, wanted) {
  try {
    return JSON.parse(line);
  } catch (error) {
    process.stderr.write(`expected one line of JSON, ${wanted}; ${error.message}\n`);
    process.exit(2);
  }
}
