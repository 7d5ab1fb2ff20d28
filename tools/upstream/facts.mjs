// Prints what the contract rests on, as the packages beside this file state it: one JSON object.
//
//   types           every template type that the guard lists
//   members         the top-level members that the guard names
//   variables       the payload variables that the guard types
//   texts           "User.name": {"nullable": true, "longest": 128}, as the tables of the database limit them
//   keys            "Profile": ["familyName", …], the keys of the objects inside a message
//   languages       the language tags that the sign-in experience speaks
//   connector       why the connector cannot be made; null if it can
//   silence         how a send to a silent endpoint ends; null if it still waits after ten minutes
//
// A part that a package no longer states in a known form is null.

import { once } from "node:events";
import { createServer, Socket } from "node:net";

const LONGEST = 4096;
const SILENCE_MS = 600_000;
// A faster clock makes ten minutes half a second.
const CLOCK_FACTOR = 1200;

const kit = await import("kit-newest");
const schemas = await import("@logto/schemas");
const phrases = await import("@logto/phrases-experience");

const names = (shape) => (shape ? Object.keys(shape) : null);

function listTypes() {
  const listed = listIssues(null)
    .filter(({ path }) => path[0] === "type")
    .flatMap(({ options, values, expected }) => options ?? values ?? String(expected).match(/\w+/g));
  return [...new Set([...listed, ...Object.values(kit.TemplateType ?? {})])].filter(
    (name) => !listIssues(name).some(({ path }) => path[0] === "type"),
  );
}

// Another member may make the guard refuse a message of a known type.
function listIssues(type) {
  const message = { to: "foo@example.com", type, payload: {} };
  return kit.sendMessageDataGuard.safeParse(message).error?.issues ?? [];
}

function measureText(guard) {
  if (!guard) {
    return null;
  }
  const accepts = (length) => guard.safeParse("x".repeat(length)).success;
  let [longest, tooLong] = [0, LONGEST + 1];
  while (tooLong - longest > 1) {
    const middle = (longest + tooLong) >> 1;
    [longest, tooLong] = accepts(middle) ? [middle, tooLong] : [longest, middle];
  }
  return { nullable: guard.safeParse(null).success, longest: longest === LONGEST ? null : longest };
}

async function makeConnector() {
  try {
    const { default: createConnector } = await import("@logto/connector-http-email");
    return { connector: await createConnector({ getConfig: async () => ({}) }) };
  } catch (error) {
    return { problem: String(error) };
  }
}

async function measureSilence(connector) {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${server.address().port}/`;
  const message = { to: "foo@example.com", type: "Generic", payload: {} };
  speedClockUp();
  const silence = once(server, "connection").then(
    () => new Promise((resolve) => setTimeout(resolve, SILENCE_MS, null)),
  );
  const send = (async () => connector.sendMessage(message, { endpoint }))().then(
    () => "it succeeds",
    ({ data, message }) => String(data?.message ?? data ?? message),
  );
  return Promise.race([send, silence]);
}

// For what the connector may limit a request with: timers, the time of a socket, a signal.
function speedClockUp() {
  const places = [
    [globalThis, "setTimeout", 1],
    [Socket.prototype, "setTimeout", 0],
    [AbortSignal, "timeout", 0],
  ];
  for (const [object, name, index] of places) {
    const original = object[name];
    object[name] = function (...values) {
      values[index] = Math.ceil((values[index] ?? 0) / CLOCK_FACTOR);
      return original.apply(this, values);
    };
  }
}

const tables = {
  Application: [schemas.Applications, "id", "name"],
  ApplicationSignInExperience: [schemas.ApplicationSignInExperiences, "displayName"],
  Organization: [schemas.Organizations, "id", "name"],
  OrganizationInvitation: [schemas.OrganizationInvitations, "invitee"],
  Passcode: [schemas.Passcodes, "code", "email"],
  User: [schemas.Users, "id", "avatar", "name", "primaryEmail", "primaryPhone", "username"],
};
const texts = Object.entries(tables).flatMap(([table, [entity, ...columns]]) =>
  columns.map((column) => [`${table}.${column}`, measureText(entity?.guard?.shape?.[column])]),
);

const { connector, problem = null } = await makeConnector();

const text = JSON.stringify({
  types: listTypes(),
  members: names(kit.sendMessageDataGuard.shape),
  variables: names(kit.sendMessagePayloadGuard?.shape),
  texts: Object.fromEntries(texts),
  keys: {
    Profile: names(schemas.userProfileGuard?.shape),
    Address: names(schemas.userProfileGuard?.shape?.address?.unwrap?.().shape),
    Branding: names(schemas.brandingGuard?.shape),
  },
  languages: phrases.builtInLanguages ?? null,
  connector: problem,
  silence: connector ? await measureSilence(connector) : null,
});
// The silent server still listens.
process.stdout.write(text, () => process.exit());
