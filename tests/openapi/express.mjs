// Express with express-openapi-validator in front of a receiver.
//
//   node express.mjs DOCUMENT URL  an OpenAPI document, and the receiver

import express from "express";
import OpenApiValidator from "express-openapi-validator";
import { forward } from "./forward.mjs";

const [apiSpec, receiver] = process.argv.slice(2);
const app = express();
app.use(express.json());
app.use(OpenApiValidator.middleware({ apiSpec }));
app.post("/logto-mail", async (request, response) => {
  const { status, type, body } = await forward(receiver, request);
  response.status(status).type(type).send(body);
});
// Express knows an error handler by its four parameters.
app.use((error, _request, response, _next) => {
  response.status(error.status ?? 500).json({ error: error.message });
});
const server = app.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
