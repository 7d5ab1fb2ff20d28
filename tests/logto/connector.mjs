// Sends messages with the real @logto/connector-http-email, as Logto does.
//
//   in   a line:  {"message": {…}, "endpoint": "http://127.0.0.1:3000/mail", "authorization": "Bearer …"}
//   out  a line:  {"ok": true}
//            or:  {"ok": false, "code": "general", "error": "what the endpoint or the network said"}
//
// The job's members:
//   message        the message to send: to, type, payload, ip. Values are what JavaScript makes of them
//                  (1e400 is Infinity, of two equal keys the last is used).
//   json           in place of message: the message as JSON text, for what the writer of the job cannot
//                  put into JSON, such as equal keys.
//   endpoint       the URL to send to.
//   authorization  the connector's setting of that name; absent when absent here.
//   id             any value, not null. A job with an id is started at once, beside those under way, and
//                  its result has the id. Jobs without one are sent one after another, and their
//                  results are written in the order of the jobs.
//
// "code" is the code of Logto's ConnectorError, or null for an error that is none. The process ends when
// standard input has ended and every result is written.
//
//   node connector.mjs <<'JOB'
//   {"endpoint": "http://127.0.0.1:3000/mail", "message": {"to": "foo@example.com", "type": "Generic", "payload": {}}}
//   JOB

import createConnector from "@logto/connector-http-email";
import { job, lines, writeResult } from "./lines.mjs";

const connector = await createConnector({
  getConfig: async () => {
    throw new Error("the configuration comes with each job");
  },
});

async function send({ id, message, json, endpoint, authorization }) {
  const name = id === undefined ? {} : { id };
  try {
    const data = json === undefined ? message : JSON.parse(json);
    await connector.sendMessage(data, { endpoint, authorization });
    return { ...name, ok: true };
  } catch (error) {
    // Beside the code, a ConnectorError holds its cause as data: an error, or {message: <response body>}.
    const { code, data } = error;
    const known = error.constructor.name === "ConnectorError";
    const text = known ? (data?.message ?? error.message) : String(error);
    return { ...name, ok: false, code: known ? code : null, error: text };
  }
}

for await (const line of lines()) {
  const task = job(line, "an object with message or json, and endpoint");
  const done = send(task).then(writeResult);
  if (task.id === undefined || task.id === null) {
    await done;
  }
}
