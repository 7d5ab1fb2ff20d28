// The contract's schema under fastify, judged by Ajv on each request: `node fastify.mjs PORT SCHEMA`.
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import Fastify from 'fastify';

const [port, schema] = process.argv.slice(2);
const ajv = new Ajv2020({ strict: false });
const app = Fastify();
app.setValidatorCompiler(({ schema: body }) => ajv.compile(body));
app.post('/*', { schema: { body: JSON.parse(readFileSync(schema, 'utf8')) } }, () => ({ accepted: true }));
await app.listen({ host: '127.0.0.1', port: Number(port) });
