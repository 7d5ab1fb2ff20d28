// A receiver for Logto's HTTP email connector in TypeScript, as a plain fetch handler: one mail by template type. It
// runs wherever a function from Request to Response does: Node, Deno, Bun, workers, routes of a framework.

export interface Mail {
  to: string;
  subject: string;
  text: string;
  html: string;
}

export interface Settings {
  /** What Logto sends as Authorization, as in the connector's settings. */
  authorization: string;
  /** Sends a mail. A Refused that it throws becomes the response; any other error becomes 503. */
  send: (mail: Mail) => Promise<void>;
}

/** The text of a refusal repeats nothing of the message and nothing of this program: Logto shows it to the user. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const path = '/logto-mail';
const maxBytes = 2 * 1024 * 1024;

// A Map: an object inherits members such as "constructor", which is no template type.
// Later Logto releases add types: a type that is not listed becomes a general mail.
const subjects = new Map([
  ['SignIn', 'Your code to sign in'],
  ['Register', 'Your code to create an account'],
  ['ForgotPassword', 'Your code to reset your password'],
  ['OrganizationInvitation', 'You are invited to join'],
  ['UserPermissionValidation', 'Your code to confirm that it is you'],
  ['BindNewIdentifier', 'Your code to add this address'],
  ['MfaVerification', 'Your code to finish signing in'],
  ['BindMfa', 'Your code to set up a second factor'],
]);

type JsonObject = { [member: string]: unknown };

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const escape = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

// Line breaks would make headers; control characters and lone surrogates cannot be sent.
const oneLine = (text: string) =>
  Array.from(text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()).slice(0, 100).join('');

// Any member may be missing or null, and the sender of an invitation may replace an object by any value.
const textOf = (context: unknown, ...members: string[]) =>
  members
    .map((member) => (isObject(context) ? context[member] : undefined))
    .filter((value) => typeof value === 'string')
    .map(oneLine)
    .find((value) => value !== '') ?? '';

const digest = async (bytes: BufferSource) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

const isAuthorized = async (request: Request, authorization: string) => {
  // A header's value has one letter a byte. Comparing digests tells nothing about how much of a guess is right.
  const given = Uint8Array.from(request.headers.get('authorization') ?? '', (letter) => letter.charCodeAt(0));
  const [one, other] = await Promise.all([digest(given), digest(new TextEncoder().encode(authorization))]);
  return one.every((byte, place) => byte === other[place]);
};

// To its end, or else the connection cannot carry the next request. No more of it is held than a message may have.
const read = async (request: Request) => {
  const decoder = new TextDecoder();
  let [text, bytes] = ['', 0];
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    text = bytes > maxBytes ? '' : text + decoder.decode(chunk, { stream: true });
  }
  return { text: text + decoder.decode(), bytes };
};

const parse = (body: string) => {
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    throw new Refused(400, 'The body is not JSON');
  }
  if (!isObject(message)) {
    throw new Refused(400, 'The body is no object');
  }
  const { to, type, payload } = message;
  if (typeof to !== 'string' || typeof type !== 'string' || !isObject(payload)) {
    throw new Refused(400, 'The body is no message');
  }
  return { to, type, payload };
};

const compose = ({ to, type, payload }: ReturnType<typeof parse>): Mail => {
  // Mail libraries read quoted names, lists and comments differently: refuse them.
  if (!/^[^@"(),:;<>[\\\]\p{C}\p{Z}\uFFFD]+@[^@"(),:;<>[\\\]\p{C}\p{Z}\uFFFD]+$/u.test(to)) {
    throw new Refused(422, 'No mail can be sent to this recipient');
  }
  const secret = type === 'OrganizationInvitation' ? payload.link : (payload.code ?? payload.link);
  if (typeof secret !== 'string' || secret === '' || /[\p{Cc}\p{Cs}\s]/u.test(secret)) {
    throw new Refused(422, 'The message has no code and no link to send');
  }
  const place =
    textOf(payload.organization, 'name') || textOf(payload.application, 'displayName', 'name') || 'our service';
  const name = textOf(payload.user, 'name', 'username');
  const inviter = textOf(payload.inviter, 'name', 'username', 'primaryEmail');
  const greeting = name ? `Hello ${name},` : 'Hello,';
  const line = inviter ? `${inviter} invites you to ${place}:` : `This is for ${place}:`;
  const shown = /^https?:\/\//i.test(secret) ? `<a href="${escape(secret)}">${escape(secret)}</a>` : escape(secret);
  return {
    to,
    subject: `${subjects.get(type) ?? 'Your verification'} - ${place}`,
    text: `${greeting}\n\n${line}\n\n${secret}\n`,
    html: `<!doctype html><html><body><p>${escape(greeting)}</p><p>${escape(line)}</p><p><b>${shown}</b></p></body></html>`,
  };
};

const receive = async (request: Request, { authorization, send }: Settings) => {
  const { text, bytes } = await read(request);
  if (new URL(request.url).pathname !== path) {
    throw new Refused(404, 'There is nothing here');
  }
  if (request.method !== 'POST') {
    throw new Refused(405, 'Messages are posted');
  }
  if (!(await isAuthorized(request, authorization))) {
    throw new Refused(401, 'Wrong authorization');
  }
  if (bytes > maxBytes) {
    throw new Refused(413, 'The message is too large');
  }
  const mail = compose(parse(text));
  try {
    await send(mail);
  } catch (error) {
    if (error instanceof Refused) {
      throw error;
    }
    // Not the error itself: a mail library's has the recipient, which belongs in no log.
    console.error('The mail was not sent:', error instanceof Error ? error.message : 'no error');
    throw new Refused(503, 'The mail was not sent');
  }
};

/** Return the handler. */
export const createHandler =
  (settings: Settings) =>
  async (request: Request): Promise<Response> => {
    try {
      await receive(request, settings);
      return new Response(null, { status: 204 });
    } catch (error) {
      if (!(error instanceof Refused)) {
        console.error(error);
      }
      const { status, message } = error instanceof Refused ? error : new Refused(500, 'An error of ours');
      return Response.json({ error: message }, { status, headers: status === 405 ? { allow: 'POST' } : {} });
    }
  };
