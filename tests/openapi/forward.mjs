// Forwards what a validating server has read to a receiver, and returns its response.

/**
 * Posts a parsed message to the receiver and returns {status, type, body} of its response.
 *
 * The message is written again: what the server changed or dropped, the receiver gets so.
 */
export async function forward(receiver, { headers, body }) {
  const sent = { "content-type": "application/json" };
  if (headers.authorization !== undefined) {
    sent.authorization = headers.authorization;
  }
  const response = await fetch(receiver, { method: "POST", headers: sent, body: JSON.stringify(body) });
  return {
    status: response.status,
    type: response.headers.get("content-type") ?? "text/plain",
    body: Buffer.from(await response.arrayBuffer()),
  };
}
