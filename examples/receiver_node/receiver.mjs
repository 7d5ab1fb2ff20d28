// A receiver for Logto's HTTP email connector, in plain Node: one mail by template type, handed to an SMTP server.
//
// Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
// SMTP_PORT, PORT. To run it: npm ci && MAIL_AUTHORIZATION='Bearer s3cret' npm start

import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import nodemailer from 'nodemailer';

const { MAIL_AUTHORIZATION, MAIL_FROM = 'no-reply@example.com', SMTP_HOST = 'localhost' } = process.env;
if (!MAIL_AUTHORIZATION) {
  throw new Error('Set MAIL_AUTHORIZATION to the value in the connector settings');
}

const path = '/logto-mail';
const maxBytes = 2 * 1024 * 1024;

// Logto's user waits for the response, and gives up after 10 seconds.
const transport = nodemailer.createTransport({
  host: SMTP_HOST,
  port: Number(process.env.SMTP_PORT ?? 25),
  pool: true,
  connectionTimeout: 5000,
  socketTimeout: 5000,
});

// A Map: an object inherits members such as "constructor", which is no template type.
// Later Logto releases add types: a type that is not listed becomes a general mail.
const templates = new Map([
  ['SignIn', 'Your code to sign in'],
  ['Register', 'Your code to create an account'],
  ['ForgotPassword', 'Your code to reset your password'],
  ['OrganizationInvitation', 'You are invited to join'],
  ['UserPermissionValidation', 'Your code to confirm that it is you'],
  ['BindNewIdentifier', 'Your code to add this address'],
  ['MfaVerification', 'Your code to finish signing in'],
  ['BindMfa', 'Your code to set up a second factor'],
]);

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const escaped = (text) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

// Line breaks would make headers; control characters and lone surrogates cannot be sent.
const oneLine = (text) => text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();

// Any member may be missing or null, and the sender of an invitation may replace an object by any value.
const textOf = (context, ...members) =>
  members
    .map((member) => (isObject(context) ? context[member] : undefined))
    .filter((value) => typeof value === 'string')
    .map(oneLine)
    .find((value) => value !== '') ?? '';

const isAuthorized = (request) => {
  // Node passes header bytes as Latin-1. Digests have one length, so the comparison needs constant time.
  const given = Buffer.from(request.headers.authorization ?? '', 'latin1');
  const digest = (value) => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(given), digest(MAIL_AUTHORIZATION));
};

const readBody = async (request) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= maxBytes) {
      chunks.push(chunk);
    }
  }
  if (size > maxBytes) {
    throw new Refused(413, 'The message is too large');
  }
  return Buffer.concat(chunks).toString();
};

const parse = (body) => {
  let message;
  try {
    message = JSON.parse(body);
  } catch {
    throw new Refused(400, 'The body is not JSON');
  }
  if (
    !isObject(message) ||
    typeof message.to !== 'string' ||
    typeof message.type !== 'string' ||
    !isObject(message.payload)
  ) {
    throw new Refused(400, 'The body is not a message');
  }
  return message;
};

const compose = ({ to, type, payload }) => {
  // Mail libraries read quoted names, lists and comments differently: refuse them.
  if (!/^[^@"(),:;<>[\\\]\p{C}\p{Z}\uFFFD]+@[^@"(),:;<>[\\\]\p{C}\p{Z}\uFFFD]+$/u.test(to)) {
    throw new Refused(422, 'No mail can be sent to this recipient');
  }
  const secret = type === 'OrganizationInvitation' ? payload.link : payload.code ?? payload.link;
  if (typeof secret !== 'string' || secret === '' || /[\p{Cc}\p{Cs}\s]/u.test(secret)) {
    throw new Refused(422, 'The message has no code and no link to send');
  }
  const place =
    textOf(payload.organization, 'name') || textOf(payload.application, 'displayName', 'name') || 'our service';
  const name = textOf(payload.user, 'name', 'username');
  const inviter = textOf(payload.inviter, 'name', 'username', 'primaryEmail');
  const title = templates.get(type) ?? 'Your verification';
  const greeting = name ? `Hello ${name},` : 'Hello,';
  const line = inviter ? `${inviter} invites you to ${place}:` : `This is for ${place}:`;
  const shown = /^https?:\/\//i.test(secret)
    ? `<a href="${escaped(secret)}">${escaped(secret)}</a>`
    : `<strong>${escaped(secret)}</strong>`;
  const address = { name: '', address: to };
  return {
    from: MAIL_FROM,
    to: address,
    subject: `${title} - ${place}`,
    text: `${greeting}\n\n${line}\n\n${secret}\n`,
    html: `<!doctype html><html><body><p>${escaped(greeting)}</p><p>${escaped(line)}</p><p>${shown}</p></body></html>`,
    // A value of a message is never read as the name of a file or URL to attach.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
};

const handle = async (request) => {
  // Read the body first, also before a refusal: else the connection cannot carry the next request.
  const body = await readBody(request);
  if (request.url.split('?')[0] !== path) {
    throw new Refused(404, 'There is nothing here');
  }
  if (request.method !== 'POST') {
    throw new Refused(405, 'Messages are posted');
  }
  if (!isAuthorized(request)) {
    throw new Refused(401, 'Wrong authorization');
  }
  const mail = compose(parse(body));
  try {
    await transport.sendMail(mail);
  } catch (error) {
    // A code below 500 asks to try again later.
    if (error.command === 'RCPT TO' && error.responseCode >= 500) {
      throw new Refused(422, 'The recipient was refused');
    }
    console.error(error.code, error.message);
    throw new Refused(503, 'The mail was not sent');
  }
};

const server = createServer(async (request, response) => {
  try {
    await handle(request);
    response.writeHead(204).end();
  } catch (error) {
    if (!(error instanceof Refused)) {
      console.error(error);
    }
    // Logto shows the response to the user: it repeats nothing of the message and nothing of this program.
    const [status, text] = error instanceof Refused ? [error.status, error.message] : [500, 'An error of ours'];
    const headers = { 'content-type': 'application/json', ...(status === 405 && { allow: 'POST' }) };
    response.writeHead(status, headers).end(JSON.stringify({ error: text }));
  }
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}${path}`);
});
