// Reads URLs as Node does, and user and password as got does.
//
//   in   a line:  [["http://foo:b%40@EXAMPLE.com:80/a b?c", null], ["../d", "http://example.com/a/"], …]
//                 pairs of a URL and the base that it is relative to, or null
//   out  a line:  [{"scheme": "http", "host": "example.com", …}, …]    null for what is no http or https URL
//
// "credentials" is [user, password], null without them, and false where decodeURIComponent throws.

import { urlToHttpOptions } from "node:url";
import { job, lines, writeResult } from "./lines.mjs";

const ports = { "http:": 80, "https:": 443 };

function credentials({ username, password }) {
  if (!username && !password) {
    return null;
  }
  try {
    return [decodeURIComponent(username), decodeURIComponent(password)];
  } catch {
    return false;
  }
}

function read([text, base]) {
  let url;
  try {
    url = new URL(text, base ?? undefined);
  } catch {
    return null;
  }
  if (!(url.protocol in ports)) {
    return null;
  }
  const pair = credentials(url);
  url.username = url.password = "";
  const { hostname, path } = urlToHttpOptions(url);
  return {
    scheme: url.protocol.slice(0, -1),
    host: url.host,
    address: [hostname, Number(url.port || ports[url.protocol])],
    target: path,
    credentials: pair,
    plain: url.href,
  };
}

for await (const line of lines()) {
  writeResult(job(line, "an array of pairs of a URL and a base").map(read));
}
