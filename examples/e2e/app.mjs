// A small app that signs people up with a code by mail, sent by Logto's own HTTP email connector.
//
// It plays your app with Logto behind it. Configured by the environment: MAIL_ENDPOINT (the URL that the
// connector posts to), MAIL_AUTHORIZATION (its authorization header; none if unset), MAIL_TIMEOUT (seconds to
// wait for it, 8 if unset) and PORT (0, a free one, if unset). To run it: npm ci && npm start

import createConnector from '@logto/connector-http-email';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';

const { MAIL_ENDPOINT, MAIL_AUTHORIZATION, MAIL_TIMEOUT, PORT } = process.env;
if (!MAIL_ENDPOINT) {
  throw new Error('Set MAIL_ENDPOINT to the URL that the mails are posted to');
}

// The connector has no limit of its own; Logto's sign-in page gives up after 10 seconds.
const timeout = Number(MAIL_TIMEOUT ?? 8) * 1000;
const lifetime = 10 * 60 * 1000;
const maxTries = 10;
const maxBytes = 10_000;
const locales = ['en', 'de', 'fr', 'ja'];

const connector = await createConnector({
  getConfig: async () => ({ endpoint: MAIL_ENDPOINT, authorization: MAIL_AUTHORIZATION }),
});

const accounts = new Set();
const pendingCodes = new Map();

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

const page = (title, content) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${content}`;

const signUpPage = (query) => `
  <form method="post" action="/${escaped(query)}">
    <label>Email <input name="email" type="email" autocomplete="email" required></label>
    <button>Continue</button>
  </form>`;

const codePage = (email, problem = '') => `
  <p>We have sent a code to ${escaped(email)}.</p>
  <p role="alert">${escaped(problem)}</p>
  <form method="post" action="/code">
    <input name="email" type="hidden" value="${escaped(email)}">
    <label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>
    <button>Verify</button>
  </form>`;

// The members and their order are those of Logto: payload has a code and a locale always, uiLocales when the
// sign-in was started with ui_locales, application when Logto knows which one pendingCodes.
const messageFor = (email, code, request, query) => {
  const language = request.headers['accept-language']?.slice(0, 2).toLowerCase();
  const uiLocales = query.get('ui_locales');
  return {
    to: email,
    type: accounts.has(email) ? 'SignIn' : 'Register',
    payload: {
      code,
      locale: locales.includes(language) ? language : 'en',
      ...(uiLocales && { uiLocales }),
      application: { id: 'e2e-sign-up', name: 'Sign-up example' },
    },
    ip: request.socket.remoteAddress,
  };
};

const send = async (message) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no response within ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([connector.sendMessage(message), late]);
  } catch (error) {
    console.error(`${message.type} was not sent:`, error.data?.message ?? error.message);
    throw new Refused(502, 'We could not send the mail. Please try again later.');
  } finally {
    clearTimeout(timer);
  }
};

const sendCode = async (form, request, query) => {
  const email = form.get('email') ?? '';
  if (!/^\S+@\S+\.\S+$/.test(email) || email.length > 128) {
    throw new Refused(400, 'This is no email address.');
  }
  const code = String(randomInt(1_000_000)).padStart(6, '0');
  await send(messageFor(email, code, request, query));
  pendingCodes.set(email, { code, triesLeft: maxTries, until: Date.now() + lifetime });
  return page('Enter the code', codePage(email));
};

const verify = async (form) => {
  const email = form.get('email') ?? '';
  const pending = pendingCodes.get(email);
  if (!pending || pending.until < Date.now() || pending.triesLeft === 0) {
    throw new Refused(400, 'Please ask for a new code.');
  }
  if (form.get('code') !== pending.code) {
    pending.triesLeft -= 1;
    return page('Enter the code', codePage(email, 'This is not the code that we sent.'));
  }
  pendingCodes.delete(email);
  accounts.add(email);
  return page('Welcome', `<p>You are signed in as ${escaped(email)}.</p>`);
};

const readForm = async (request) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= maxBytes) {
      chunks.push(chunk);
    }
  }
  if (size > maxBytes) {
    throw new Refused(413, 'This form is too large.');
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
};

const handle = async (request) => {
  const [path, search = ''] = request.url.split('?');
  const query = new URLSearchParams(search);
  if (request.method === 'GET' && path === '/') {
    return page('Sign up', signUpPage(query.size === 0 ? '' : `?${query}`));
  }
  if (request.method === 'POST' && path === '/') {
    return sendCode(await readForm(request), request, query);
  }
  if (request.method === 'POST' && path === '/code') {
    return verify(await readForm(request));
  }
  throw new Refused(404, 'There is nothing here.');
};

const server = createServer(async (request, response) => {
  const respond = (status, html) =>
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);
  try {
    respond(200, await handle(request));
  } catch (error) {
    if (!(error instanceof Refused)) {
      console.error(error);
    }
    const [status, text] = error instanceof Refused ? [error.status, error.message] : [500, 'An error of ours.'];
    respond(status, page('That did not work', `<p role="alert">${text}</p><p><a href="/">Back</a></p>`));
  }
});

server.listen(Number(PORT ?? 0), '127.0.0.1', () => {
  console.log(`Sign up at http://127.0.0.1:${server.address().port}/`);
});
