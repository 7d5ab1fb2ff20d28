// Fastify in front of a receiver: it validates the body, in Ajv's default export.
//
//   node fastify.mjs SCHEMA URL    a schema in draft-07, and the receiver

import { readFileSync } from "node:fs";
import Fastify from "fastify";
import { forward } from "./forward.mjs";

const [schema, receiver] = process.argv.slice(2);
// By default Fastify turns a number into text, and the receiver gets another message than Logto sent.
const app = Fastify({ ajv: { customOptions: { coerceTypes: false } } });
app.post("/logto-mail", { schema: { body: JSON.parse(readFileSync(schema, "utf8")) } }, async (request, reply) => {
  const { status, type, body } = await forward(receiver, request);
  return reply.code(status).type(type).send(body);
});
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${app.server.address().port}`);
