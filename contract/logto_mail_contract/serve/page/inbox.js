// The inbox page. The content of messages is hostile: it enters the document only as text, by element() and shown().

/**
 * @typedef {{rule: string, level: string, layer: string|null, pointer: string, expected: string[],
 *   actual: string, requirement: string, consequence: string}} Finding
 * @typedef {{id: number, time: string, to: string|null, type: string|null, code: string|null, link: string|null,
 *   locale: string|null, status: number, response: string, valid: boolean, findings: Finding[]}} Summary
 * @typedef {Summary & {method: string, target: string, headers: [string, string][], message: any, body: string}} Detail
 */

const MAX_ROWS = 100; // in the document at once
const FIRST = 200; // messages asked for at first
const BATCH = 1000; // messages asked for at once afterwards, the most that the server lists
const MAX_MESSAGES = 20_000; // stored by this page
const MAX_LINES = 2000; // of JSON or variables, beside the lines with a finding
const MAX_FINDINGS = 200;
const MAX_TYPES = 100; // to filter by
const MAX_TEXT_CHARACTERS = 2000; // of a value
const MAX_BODY_CHARACTERS = 50_000; // of a request
const MAX_INDENT_LEVELS = 12;

// What is invisible or changes its surroundings: controls, lone surrogates, separators, formats. Joiners belong to
// emoji and to many scripts, and are odd only elsewhere.
const JOINER = String.raw`(?<![\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}]|(?!\p{Script=Latin})\p{L})[\u200c\u200d]`;
const RUN = String.raw`([\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}|${JOINER})\1*`;
const ODD = new RegExp(RUN, 'gu');
const ODD_BUT_LINES = new RegExp(String.raw`(?![\n\t])${RUN}`, 'gu');

const $ = (id) => document.getElementById(id);

// The document.

/** Return a new element. An attribute that is a function is a listener; strings become text, never markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Return text from a message as an element: odd characters named, what is too much counted. */
function shown(text, most = MAX_TEXT_CHARACTERS, odd = ODD) {
  const made = element('bdi');
  const part = text.slice(0, most);
  let end = 0;
  for (const { 0: run, 1: one, index } of part.matchAll(odd)) {
    const name = `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
    const times = run.length > one.length ? ` ×${run.length / one.length}` : '';
    made.append(part.slice(end, index), element('span', { class: 'odd' }, name + times));
    end = index + run.length;
  }
  made.append(part.slice(end));
  if (text.length > most) made.append(element('span', { class: 'more' }, ` … ${text.length - most} more characters`));
  return made;
}

/** Have assistive technology read a text out. */
function announce(text) {
  $('live').textContent = text;
}

/** Show an error; hide it with null. */
function showProblem(problem) {
  $('problem').hidden = problem === null;
  $('problem').textContent = problem?.message;
}

/** Put rows into the list in this order, and move none that is in its place: it may have the focus. */
function arrange(list, wanted) {
  const staying = new Set(wanted);
  for (const child of [...list.children]) if (!staying.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index]);
  });
}

// Copying.

/** Copy without the clipboard API: browsers offer it only over https and on loopback. */
function copyBySelection(text) {
  const focused = document.activeElement;
  const area = element('textarea', { class: 'unseen' });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  focused.focus();
  return copied;
}

function copyButton(text, what) {
  const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, click }, 'Copy');
  async function click() {
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false) || copyBySelection(text);
    announce(copied ? `Copied ${what}` : `The browser did not let ${what} be copied`);
    button.textContent = copied ? 'Copied' : 'Not copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  }
  return button;
}

// A message, as its row and its detail show it.

const nameOf = ({ to }) => (to === null ? 'no recipient' : shown(to, 320));

const typeOf = ({ type }) => (type === null ? 'no type' : shown(type, 200));

function timeOf({ time }) {
  const when = new Date(time);
  const today = when.toDateString() === new Date().toDateString();
  const words = today ? when.toLocaleTimeString() : when.toLocaleString();
  return element('time', { datetime: time, title: when.toString() }, words);
}

function codeOf({ code }) {
  return code === null ? '' : element('p', { class: 'code' }, shown(code, 200), copyButton(code, 'code'));
}

/** The link as text. A button to open it is beside it, but only for a web address. */
function linkOf({ link }) {
  if (link === null) return '';
  const safe = /^https?:\/\//i.test(link) && URL.canParse(link);
  const open = safe && element('a', {
    href: new URL(link).href, target: '_blank', rel: 'noopener noreferrer', 'aria-label': 'Open the link in a new tab',
  }, 'Open');
  return element('p', { class: 'link' }, shown(link), open || '', copyButton(link, 'link'));
}

function verdictOf({ status, response, valid, findings }) {
  let [kind, words] = ['valid', 'Accepted'];
  if (status !== 200) {
    [kind, words] = ['invalid', response === String(status) ? `Refused, ${status}` : `Invalid, ${status} is due`];
  } else if (!valid) [kind, words] = ['invalid', 'Accepted, but invalid'];
  else if (findings.length) [kind, words] = ['remark', 'Accepted, with a remark'];
  return element('span', { class: `verdict ${kind}` }, words);
}

/** The response, where it is not what the judgement asks for. */
function responseOf({ status, response }) {
  return response === String(status) ? '' : element('p', { class: 'response' }, `Response: ${response}`);
}

function rowOf(message) {
  const [finding, ...others] = message.findings;
  const more = others.length ? ` And ${others.length} more.` : '';
  return element('li', { class: 'row' },
    element('p', {}, element('a', { class: 'to', href: `#${message.id}` }, nameOf(message)), timeOf(message)),
    element('p', {}, element('span', {}, typeOf(message)), verdictOf(message)),
    finding ? element('p', { class: 'why' }, finding.requirement, more) : '',
    responseOf(message),
    codeOf(message),
    linkOf(message));
}

/** @type {WeakMap<Finding, HTMLElement>} the place of each finding in the document */
const boxes = new WeakMap();

function findingOf(finding) {
  const { rule, level, layer, pointer, requirement, expected, actual, consequence } = finding;
  const place = layer === null ? '' : `at ${pointer || 'the whole message'}, layer ${layer}`;
  const box = element('div', { class: `finding ${level.toLowerCase()}`, role: 'note', tabindex: -1 },
    element('p', {}, element('b', {}, rule), ` ${level} `, element('span', { class: 'muted' }, shown(place))),
    element('p', {}, requirement),
    element('dl', {},
      element('dt', {}, 'expected'), element('dd', {}, shown(expected.join(', or '))),
      element('dt', {}, 'actual'), element('dd', {}, shown(actual)),
      element('dt', {}, 'in Logto'), element('dd', {}, consequence)));
  boxes.set(finding, box);
  return box;
}

// JSON.

const isObject = (value) => value !== null && typeof value === 'object';

const kindOf = (value) => (value === null ? 'null' : typeof value);

/** Return JSON in lines, each finding under the line that its pointer names. A finding without a place comes first. */
function jsonOf(value, findings) {
  const waiting = Map.groupBy(findings, ({ pointer }) => pointer);
  const json = element('div', { class: 'json' });
  let lines = 0;
  let omitted = 0;

  function write(here, depth, ...parts) {
    lines += 1;
    if (lines > MAX_LINES && !here.length) {
      omitted += 1;
      return;
    }
    writeOmitted();
    const indent = '  '.repeat(Math.min(depth, MAX_INDENT_LEVELS));
    const line = element('div', { class: 'line' }, indent, ...parts);
    line.style.setProperty('--indent', `${indent.length}ch`);
    json.append(line, ...here.map(findingOf));
  }

  function writeOmitted() {
    if (omitted) json.append(element('div', { class: 'more' }, `… ${omitted} more lines`));
    omitted = 0;
  }

  function walk(item, pointer, depth, name, comma) {
    const here = waiting.get(pointer) ?? [];
    waiting.delete(pointer);
    const entries = isObject(item) ? Object.entries(item) : [];
    if (!entries.length) {
      write(here, depth, name, element('span', { class: kindOf(item) }, shown(JSON.stringify(item))), comma);
      return;
    }
    const [start, end] = Array.isArray(item) ? '[]' : '{}';
    write(here, depth, name, start);
    entries.forEach(([key, child], index) => {
      const label = Array.isArray(item) ? '' : element('span', { class: 'key' }, shown(JSON.stringify(key)), ': ');
      const token = key.replaceAll('~', '~0').replaceAll('/', '~1');
      walk(child, `${pointer}/${token}`, depth + 1, label, index < entries.length - 1 ? ',' : '');
    });
    write([], depth, end, comma);
  }

  walk(value, '', 0, '', '');
  writeOmitted();
  json.prepend(...[...waiting.values()].flat().map(findingOf));
  return json;
}

/** Yield names and values of variables, nested ones by their path. */
function* variablesOf(value, path = '') {
  for (const [key, item] of Object.entries(value)) {
    const name = Array.isArray(value) ? `${path}[${key}]` : path && `${path}.${key}` || key;
    if (isObject(item) && Object.keys(item).length) yield* variablesOf(item, name);
    else yield [name, item];
  }
}

function variableSection(payload) {
  const variables = isObject(payload) ? [...variablesOf(payload)] : [];
  const lines = variables.slice(0, MAX_LINES).map(([name, value]) => {
    const text = typeof value === 'string' && value || JSON.stringify(value);
    return element('tr', {},
      element('th', { scope: 'row' }, shown(name, 320)), element('td', { class: kindOf(value) }, shown(text)));
  });
  const more = variables.length - lines.length;
  const words = more ? `… ${more} more` : lines.length ? '' : 'None.';
  return section('Variables', element('table', {}, ...lines), element('p', { class: 'muted' }, words));
}

// The detail of a message.

const section = (title, ...children) => element('section', {}, element('h3', {}, title), ...children);

function messageSection({ message, body }, findings) {
  // The server says null for what it cannot show as JSON, and for JSON's own null.
  if (message !== null || body.trim() === 'null') return section('Message', jsonOf(message, findings));
  const words = 'There is no JSON to show.';
  return section('Message', ...findings.map(findingOf), element('p', { class: 'muted' }, words));
}

function requestSection({ id, method, target, headers, body }, findings) {
  const head = [`${method} ${target}`, ...headers.map((header) => header.join(': '))].join('\n');
  const save = { href: `/api/messages/${id}/raw`, download: `message-${id}` };
  return section('Request',
    ...findings.map(findingOf),
    element('pre', { tabindex: 0 }, shown(`${head}\n\n${body}`, MAX_BODY_CHARACTERS, ODD_BUT_LINES)),
    element('p', {}, element('a', save, 'Save the exact bytes of the body')));
}

/** The findings, with a way to the place of each. */
function findingList(findings, more) {
  const items = findings.map((finding) => {
    const jump = { type: 'button', class: 'jump', click: () => boxes.get(finding).focus() };
    return element('li', {}, element('button', jump, finding.rule), ' ', finding.requirement);
  });
  if (more) items.push(element('li', { class: 'more' }, `and ${more} more`));
  return items.length ? element('ul', { class: 'findings' }, ...items) : '';
}

function detailHeader(title) {
  const close = element('button', { type: 'button', click: closeDetail }, 'Close');
  return element('header', {}, element('h2', { tabindex: -1 }, title), close);
}

/** @param {Detail} detail */
function detailOf(detail) {
  const findings = detail.findings.slice(0, MAX_FINDINGS);
  const [ofRequest, ofMessage] = [true, false].map((wanted) => (
    findings.filter(({ rule }) => rule.startsWith('sender/request/') === wanted)));
  const locale = detail.locale === null ? '' : element('span', {}, 'locale ', shown(detail.locale, 50));
  return [
    detailHeader(nameOf(detail)),
    element('div', { class: 'about' },
      element('b', {}, typeOf(detail)), verdictOf(detail), timeOf(detail), locale, responseOf(detail)),
    codeOf(detail),
    linkOf(detail),
    findingList(findings, detail.findings.length - findings.length),
    variableSection(detail.message?.payload),
    messageSection(detail, ofMessage),
    requestSection(detail, ofRequest),
  ];
}

// The inbox.

/** @type {Summary[]} the newest first, without a gap down to the last */
let messages = [];
let dropped = 0;
let nothingOlder = true;
let loading = false;
let pages = [Infinity]; // the ids before which the pages of the list start; the last is shown
/** @type {Map<number, HTMLElement>} by the ids of their messages */
let rows = new Map();
let current = null; // the id of the message that had the focus last
let opened = null; // the id of the message whose detail is shown
/** @type {Summary[]} not announced yet */
let arrived = [];
let drawing = false;

async function ask(path, options) {
  const response = await fetch(path, options);
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.error ?? `The server responded with ${response.status}.`);
  return content;
}

async function loadNewest() {
  const listing = await ask(`/api/messages?limit=${FIRST}`);
  messages = listing.messages.reverse();
  dropped = listing.dropped;
  nothingOlder = messages.length >= listing.total;
  rows.clear();
  turn([Infinity]);
}

/** Load some that are older. Ids rise, but what was deleted leaves gaps, so that the span to look at may grow. */
async function loadOlder() {
  const oldest = messages.at(-1)?.id ?? 0;
  const found = [];
  for (let span = BATCH; !nothingOlder && !found.length; span *= 2) {
    let after = Math.max(0, oldest - 1 - span);
    nothingOlder = after === 0;
    while (after < oldest - 1) {
      const batch = (await ask(`/api/messages?after=${after}&limit=${BATCH}`)).messages;
      found.push(...batch.filter(({ id }) => id < oldest));
      after = batch.length < BATCH ? oldest : batch.at(-1).id;
    }
  }
  messages.push(...found.reverse());
  nothingOlder ||= messages.length >= MAX_MESSAGES;
}

function arrive(message) {
  if (message.id <= (messages[0]?.id ?? 0)) return;
  messages.unshift(message);
  messages.splice(MAX_MESSAGES);
  arrived.push(message);
  draw();
}

/** Forget the messages to a recipient, or with null all. */
function forget(to) {
  messages = messages.filter((message) => to !== null && message.to !== to);
  turn([Infinity]);
}

function matches({ to, type, valid }) {
  return (to ?? '').toLowerCase().includes($('recipient').value.toLowerCase())
    && (!$('type').value || type === $('type').value)
    && (!valid || !$('invalid').checked);
}

/** Show another page of the list. */
function turn(wanted) {
  pages = wanted;
  draw();
}

/** Draw soon, once for all that comes until then. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawNow();
  });
}

function drawNow() {
  const matching = messages.filter((message) => message.id < pages.at(-1) && matches(message));
  const page = matching.slice(0, MAX_ROWS);
  rows = new Map(page.map((message) => [message.id, rows.get(message.id) ?? rowOf(message)]));
  arrange($('rows'), [...rows.values()]);
  markOpened();
  $('empty').hidden = messages.length > 0 || !nothingOlder;
  $('list').hidden = !$('empty').hidden;
  $('newer').hidden = pages.length === 1;
  $('older').hidden = matching.length <= MAX_ROWS;
  $('nothing').hidden = page.length > 0 || !nothingOlder;
  const capped = messages.length >= MAX_MESSAGES;
  $('end').hidden = !(dropped || capped) || !nothingOlder || matching.length > MAX_ROWS;
  $('end').textContent = capped ? `This page looks no further back than ${MAX_MESSAGES} messages.`
    : `Older messages dropped, since the inbox is full: ${dropped}.`;
  offerTypes();
  announceArrivals();
  // Until it is known whether the page has a next one.
  if (matching.length <= MAX_ROWS && !nothingOlder && !loading) {
    loading = true;
    later(() => loadOlder().then(draw).finally(() => { loading = false; }));
  }
}

function offerTypes() {
  const known = new Set([...$('type').options].map(({ value }) => value));
  const types = new Set(messages.map(({ type }) => type).filter((type) => type !== null && !known.has(type)));
  for (const type of [...types].slice(0, MAX_TYPES - known.size)) {
    $('type').append(element('option', { value: type }, type.slice(0, 60)));
  }
}

function announceArrivals() {
  if (arrived.length === 1) {
    const [message] = arrived;
    const [type, to] = [message.type ?? 'A message', message.to ?? 'nobody'].map((text) => text.slice(0, 100));
    announce(`${type} to ${to} ${verdictOf(message).textContent}`);
  } else if (arrived.length) {
    announce(`${arrived.length} messages arrived`);
  }
  arrived = [];
}

// Opening and closing; the address says which message is open.

function markOpened() {
  for (const [id, row] of rows) row.querySelector('.to').ariaCurrent = id === opened ? 'true' : null;
}

async function showOpened() {
  const id = Number(location.hash.slice(1)) || null;
  opened = id;
  current = id ?? current;
  markOpened();
  document.body.classList.toggle('reading', id !== null);
  $('detail').hidden = id === null;
  $('detail').replaceChildren();
  if (id === null) return;
  const parts = await ask(`/api/messages/${id}`).then(detailOf, (problem) => [detailHeader(problem.message)]);
  if (opened !== id) return;
  $('detail').replaceChildren(...parts);
  $('detail').scrollTop = 0;
  $('detail').querySelector('h2').focus();
}

function closeDetail() {
  if (opened === null) return;
  history.pushState(null, '', location.pathname);
  showOpened();
  focusRow(current);
}

const focusRow = (id) => rows.get(id)?.querySelector('.to').focus();

// Keys.

function move(step) {
  const ids = [...rows.keys()];
  const index = ids.indexOf(opened ?? current);
  const next = ids[index < 0 ? 0 : Math.min(Math.max(index + step, 0), ids.length - 1)];
  if (opened === null) focusRow(next);
  else if (next) location.replace(`#${next}`);
}

function copyCode() {
  const place = opened === null ? document.activeElement.closest('.row') ?? $('rows') : $('detail');
  const button = place.querySelector('.code .copy');
  if (button) button.click();
  else announce('There is no code to copy');
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  c: copyCode,
  Escape: closeDetail,
  '/': () => $('recipient').select(),
  '?': () => $('help').showModal(),
};

document.addEventListener('keydown', (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (target.matches('select, input:not([type=checkbox])')) {
    if (key === 'Escape') target.blur();
    return;
  }
  // Arrows scroll what is being read.
  if (!Object.hasOwn(KEYS, key) || (key.startsWith('Arrow') && opened !== null)) return;
  event.preventDefault();
  KEYS[key]();
});

// The theme.

const systemDark = matchMedia('(prefers-color-scheme: dark)');

/** Return what is stored, "dark" or "light", or store it; a browser may refuse to store anything. */
function storedTheme(chosen) {
  try {
    if (chosen) localStorage.setItem('theme', chosen);
    return localStorage.getItem('theme');
  } catch {
    return chosen;
  }
}

function applyTheme(chosen) {
  const theme = storedTheme(chosen) ?? (systemDark.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = theme;
  $('theme').ariaPressed = String(theme === 'dark');
}

// The connection.

function showConnection(state, words) {
  $('connection').dataset.state = state;
  $('connection').textContent = words;
}

/** Handle events in their order, although some of them need a request. */
let work = Promise.resolve();
function later(step) {
  work = work.then(step).then(() => showProblem(null), showProblem);
}

/** Follow the server's events; after failures in a row ever more patiently. */
function connect(failures = 0) {
  const events = new EventSource('/api/events');
  events.addEventListener('hello', () => {
    showConnection('live', 'Live');
    // The server may have been restarted, with another inbox: load everything again.
    later(loadNewest);
    if (failures) later(showOpened);
    failures = 0;
  });
  events.addEventListener('message', ({ data }) => later(() => arrive(JSON.parse(data))));
  events.addEventListener('deleted', ({ data }) => later(() => forget(JSON.parse(data).to)));
  events.addEventListener('error', () => {
    events.close();
    showConnection('lost', 'Not connected, trying again');
    setTimeout(connect, Math.min(500 * 2 ** failures, 5000), failures + 1);
  });
}

// What is there from the start.

const offerToCopy = (id, text, what) => $(id).append(element('code', {}, text), copyButton(text, what));

const on = (id, event, act) => $(id).addEventListener(event, act);

const endpoint = `${location.origin}/`;
const example = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}';
document.title = `Inbox, ${location.host}`;
offerToCopy('endpoint', endpoint, 'the URL');
offerToCopy('example', `curl ${endpoint} -H 'Content-Type: application/json' -d '${example}'`, 'the command');

for (const id of ['recipient', 'type', 'invalid']) on(id, 'input', () => turn([Infinity]));
on('older', 'click', () => {
  turn([...pages, [...rows.keys()].at(-1)]);
  $('list').scrollIntoView();
});
on('newer', 'click', () => turn(pages.slice(0, -1)));
on('rows', 'focusin', ({ target }) => {
  current = [...rows.keys()].find((id) => rows.get(id).contains(target));
});
on('clear', 'click', () => $('confirm').showModal());
on('delete', 'click', () => {
  $('confirm').close();
  ask('/api/messages', { method: 'DELETE' }).then(closeDetail, showProblem);
});
on('theme', 'click', () => applyTheme($('theme').ariaPressed === 'true' ? 'light' : 'dark'));
on('keys', 'click', () => $('help').showModal());
for (const button of document.querySelectorAll('[data-close]')) {
  button.addEventListener('click', () => button.closest('dialog').close());
}
addEventListener('hashchange', showOpened);
systemDark.addEventListener('change', () => applyTheme());
applyTheme();
connect();
showOpened();
