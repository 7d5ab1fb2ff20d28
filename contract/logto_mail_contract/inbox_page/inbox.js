// @ts-check
// The inbox page. What messages hold is hostile: it reaches the document as text alone, by element() and shown().

/**
 * @typedef {{rule: string, level: string, layer: string|null, pointer: string, expected: string[],
 *   actual: string, sentence: string, consequence: string}} Finding
 * @typedef {{id: number, time: string, to: string|null, type: string|null, code: string|null,
 *   link: string|null, locale: string|null, status: number, answered: string, broken: boolean,
 *   findings: Finding[]}} Summary
 * @typedef {Summary & {method: string, target: string, headers: [string, string][], message: any,
 *   body: string}} Detail
 */

const ROWS = 100; // in the document at once
const FIRST = 200; // asked for at first
const BATCH = 1000; // asked for at once afterwards, the most that the server gives
const MOST_MESSAGES = 20_000; // kept by this page
const MOST_LINES = 2000; // of JSON shown, beside those with a finding
const MOST_FINDINGS = 200;
const MOST_TEXT = 2000; // characters of a value
const MOST_BODY = 50_000; // characters of a raw body

// What is invisible or changes its surroundings: controls, lone surrogates, separators, formats. Joiners belong
// to emoji and to many scripts, and are odd only elsewhere.
const FORMATS = String.raw`(?![\u200c\u200d])\p{Cf}|(?<![\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}])[\u200c\u200d]`;
const ODD = new RegExp(String.raw`(\p{Cc}|\p{Cs}|\p{Zl}|\p{Zp}|${FORMATS})\1*`, 'gu');
const ODD_IN_LINES = new RegExp(String.raw`(?![\n\t])(\p{Cc}|\p{Cs}|\p{Zl}|\p{Zp}|${FORMATS})\1*`, 'gu');

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

// The document.

/**
 * Return a new element. Strings among the children become text, never markup.
 * @param {string} tag
 * @param {Record<string, any>} attributes functions are listeners, null and false are left out
 * @param {...(Node|string)} children
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/**
 * Return text from a message as nodes: odd characters named, the rest of a long one counted.
 * @param {string} text
 * @param {number} most characters
 * @param {RegExp} odd
 */
function shown(text, most = MOST_TEXT, odd = ODD) {
  const part = text.length > most ? text.slice(0, most) : text;
  /** @type {(Node|string)[]} */
  const nodes = [];
  let end = 0;
  for (const match of part.matchAll(odd)) {
    const code = `U+${match[1].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
    const times = match[0].length / match[1].length;
    const name = times > 1 ? `${code} ×${times}` : code;
    nodes.push(part.slice(end, match.index), element('span', { class: 'odd' }, name));
    end = match.index + match[0].length;
  }
  nodes.push(part.slice(end));
  if (part !== text) nodes.push(element('span', { class: 'more' }, ` … ${text.length - most} more characters`));
  return element('bdi', {}, ...nodes);
}

/** Tell assistive technology. @param {string} text */
function announce(text) {
  $('live').textContent = text;
}

/** @param {unknown} problem an error, or null when all is well again */
function tellProblem(problem) {
  $('problem').hidden = problem === null;
  $('problem').textContent = problem instanceof Error ? problem.message : '';
}

/** Put elements into a parent in this order, and move none that is in its place: it may have the focus. */
function arrange(/** @type {Element} */ parent, /** @type {Element[]} */ wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

// Copying.

/** The clipboard of a page that is neither https nor loopback. @param {string} text */
function copyBySelection(text) {
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  const area = /** @type {HTMLTextAreaElement} */ (element('textarea', { class: 'unseen' }));
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  focused?.focus();
  return copied;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text @param {string} what */
function copyButton(text, what) {
  const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, click }, 'Copy');
  async function click() {
    const copied = await copy(text);
    announce(copied ? `Copied ${what}` : `The browser did not let ${what} be copied`);
    button.textContent = copied ? 'Copied' : 'Not copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  }
  return button;
}

// What a message looks like.

/** @param {Summary} message */
function codeOf(message) {
  if (message.code === null) return '';
  return element('p', { class: 'code' }, shown(message.code, 200), copyButton(message.code, 'code'));
}

/** The link as text; the way to open it is a thing of its own, and only there for what is a web address. */
function linkOf(/** @type {Summary} */ { link }) {
  if (link === null) return '';
  const safe = /^https?:\/\//i.test(link) && URL.canParse(link);
  const attributes = {
    href: safe && new URL(link).href, target: '_blank', rel: 'noopener noreferrer', 'aria-label': 'Open the link in a new tab',
  };
  return element('p', { class: 'link' }, shown(link), safe ? element('a', attributes, 'Open') : '', copyButton(link, 'link'));
}

/** @param {Summary} message */
function verdictOf({ status, answered, broken, findings }) {
  let [kind, words] = ['kept', 'Accepted'];
  if (status !== 200) [kind, words] = ['broken', answered === String(status) ? `Refused, ${status}` : `Broken, ${status} is due`];
  else if (broken) [kind, words] = ['broken', 'Accepted, but broken'];
  else if (findings.length) [kind, words] = ['remark', 'Accepted, with a remark'];
  return element('span', { class: `verdict ${kind}` }, words);
}

/** What was answered, where it is not what the judgement asks for. @param {Summary} message */
function answerOf({ status, answered }) {
  return answered === String(status) ? '' : element('p', { class: 'answer' }, `Answered ${answered}`);
}

/** @param {string} time */
function timeOf(time) {
  const when = new Date(time);
  const today = when.toDateString() === new Date().toDateString();
  const words = today ? when.toLocaleTimeString() : when.toLocaleString();
  return element('time', { datetime: time, title: when.toString() }, words);
}

/** @param {Summary} message */
const nameOf = ({ to }) => (to === null ? 'no recipient' : shown(to, 320));

/** @param {Summary} message */
const typeOf = ({ type }) => (type === null ? 'no type' : shown(type, 200));

/** @param {Summary} message */
function rowOf(message) {
  const [finding, ...others] = message.findings;
  const more = others.length ? ` And ${others.length} more.` : '';
  return element('li', { class: 'row' },
    element('p', {}, element('a', { class: 'to', href: `#${message.id}` }, nameOf(message)), timeOf(message.time)),
    element('p', {}, element('span', {}, typeOf(message)), verdictOf(message)),
    finding ? element('p', { class: 'why' }, finding.sentence, more) : '',
    answerOf(message),
    codeOf(message),
    linkOf(message));
}

/** @type {WeakMap<Finding, HTMLElement>} where each finding stands in the document */
const boxes = new WeakMap();

/** @param {Finding} finding */
function findingOf(finding) {
  const place = finding.layer === null ? '' : `at ${finding.pointer || 'the whole message'}, layer ${finding.layer}`;
  const box = element('div', { class: `finding ${finding.level.toLowerCase()}`, role: 'note', tabindex: '-1' },
    element('p', {}, element('b', {}, finding.rule), ` ${finding.level} `, element('span', { class: 'muted' }, shown(place))),
    element('p', {}, finding.sentence),
    element('dl', {},
      element('dt', {}, 'expected'), element('dd', {}, shown(finding.expected.join(', or '))),
      element('dt', {}, 'actual'), element('dd', {}, shown(finding.actual)),
      element('dt', {}, 'in Logto'), element('dd', {}, finding.consequence)));
  boxes.set(finding, box);
  return box;
}

// JSON.

/** @param {any} value */
const isObject = (value) => value !== null && typeof value === 'object';

/** A value that holds no other; numbers as JavaScript says them, which has more of them than JSON. */
const literal = (/** @type {any} */ value) => (typeof value === 'number' ? String(value) : JSON.stringify(value));

/** @param {any} value */
const kindOf = (value) => (value === null ? 'null' : typeof value);

/**
 * Return JSON in lines, each finding under the line that its pointer names. What points nowhere stands first.
 * @param {any} value
 * @param {Finding[]} findings
 */
function jsonOf(value, findings) {
  const waiting = Map.groupBy(findings, (finding) => finding.pointer);
  const pre = element('div', { class: 'json' });
  let lines = 0;
  let left = 0;

  function write(/** @type {string|null} */ pointer, /** @type {number} */ depth, /** @type {(Node|string)[]} */ ...parts) {
    const here = pointer === null ? undefined : waiting.get(pointer);
    lines += 1;
    if (lines > MOST_LINES && !here) {
      left += 1;
      return;
    }
    tellLeft();
    const indent = '  '.repeat(Math.min(depth, 30));
    const line = element('div', { class: 'line' }, indent, ...parts);
    line.style.setProperty('--indent', `${indent.length}ch`);
    pre.append(line, ...(here ?? []).map(findingOf));
    if (pointer !== null) waiting.delete(pointer);
  }

  function tellLeft() {
    if (left) pre.append(element('div', { class: 'more' }, `… ${left} more lines`));
    left = 0;
  }

  function walk(/** @type {any} */ item, /** @type {string} */ pointer, /** @type {number} */ depth,
    /** @type {Node|string} */ name, /** @type {string} */ comma) {
    const entries = isObject(item) ? Object.entries(item) : [];
    const [start, end] = Array.isArray(item) ? '[]' : '{}';
    if (!entries.length) {
      const text = isObject(item) ? start + end : literal(item);
      write(pointer, depth, name, element('span', { class: kindOf(item) }, shown(text)), comma);
      return;
    }
    write(pointer, depth, name, start);
    entries.forEach(([key, child], index) => {
      const label = Array.isArray(item) ? '' : element('span', { class: 'key' }, shown(JSON.stringify(key)), ': ');
      const token = key.replaceAll('~', '~0').replaceAll('/', '~1');
      walk(child, `${pointer}/${token}`, depth + 1, label, index < entries.length - 1 ? ',' : '');
    });
    write(null, depth, end, comma);
  }

  walk(value, '', 0, '', '');
  tellLeft();
  pre.prepend(...[...waiting.values()].flat().map(findingOf));
  return pre;
}

/** Yield names and values of variables, nested ones by their path. @returns {Generator<[string, any]>} */
function* variablesOf(/** @type {any} */ value, path = '') {
  for (const [key, item] of Object.entries(value)) {
    const name = Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    if (isObject(item) && Object.keys(item).length) yield* variablesOf(item, name);
    else yield [name, item];
  }
}

/** @param {any} payload */
function variableTable(payload) {
  const rows = [];
  for (const [name, value] of isObject(payload) ? variablesOf(payload) : []) {
    if (rows.length === MOST_LINES) {
      rows.push(element('tr', {}, element('td', { colspan: '2', class: 'more' }, '… and more')));
      break;
    }
    const text = typeof value === 'string' && value ? value : literal(value);
    rows.push(element('tr', {},
      element('th', { scope: 'row' }, shown(name, 320)), element('td', { class: kindOf(value) }, shown(text))));
  }
  return rows.length ? element('table', {}, element('tbody', {}, ...rows)) : element('p', { class: 'muted' }, 'None.');
}

// The detail of a message.

/** @param {string} title @param {...(Node|string)} children */
function section(title, ...children) {
  return element('section', {}, element('h3', {}, title), ...children);
}

/** @param {Detail} detail @param {Finding[]} findings */
function messageSection(detail, findings) {
  // The server says null for what is no JSON, and for JSON's own null.
  const isJson = detail.message !== null || detail.body.trim() === 'null';
  if (isJson) return section('Message', jsonOf(detail.message, findings));
  return section('Message', ...findings.map(findingOf), element('p', { class: 'muted' }, 'The body is no JSON value.'));
}

/** @param {Detail} detail @param {Finding[]} findings */
function requestSection(detail, findings) {
  const lines = [`${detail.method} ${detail.target}`, ...detail.headers.map(([name, value]) => `${name}: ${value}`)];
  return section('Request',
    ...findings.map(findingOf),
    element('pre', { tabindex: '0' }, shown(`${lines.join('\n')}\n\n${detail.body}`, MOST_BODY, ODD_IN_LINES)),
    element('p', {}, element('a', { href: `/api/messages/${detail.id}/raw`, download: `message-${detail.id}` }, 'Save the exact bytes of the body')));
}

/** What is broken, and a way to each place. @param {Finding[]} told @param {number} more */
function findingList(told, more) {
  const items = told.map((finding) => {
    const click = () => boxes.get(finding)?.focus();
    return element('li', {}, element('button', { type: 'button', class: 'jump', click }, finding.rule), ' ', finding.sentence);
  });
  if (more) items.push(element('li', { class: 'more' }, `and ${more} more`));
  return items.length ? element('ul', { class: 'findings' }, ...items) : '';
}

/** @param {Detail} detail */
function detailOf(detail) {
  const ofRequest = (/** @type {Finding} */ finding) => finding.rule.startsWith('sender/request/');
  const told = detail.findings.slice(0, MOST_FINDINGS);
  const payload = isObject(detail.message) ? detail.message.payload : null;
  const close = element('button', { type: 'button', class: 'close', click: closeDetail }, 'Close');
  return [
    element('header', {}, element('h2', { tabindex: '-1' }, nameOf(detail)), close),
    element('p', { class: 'about' }, element('b', {}, typeOf(detail)), verdictOf(detail), timeOf(detail.time),
      detail.locale === null ? '' : element('span', {}, 'locale ', shown(detail.locale, 50))),
    answerOf(detail),
    codeOf(detail),
    linkOf(detail),
    findingList(told, detail.findings.length - told.length),
    section('Variables', variableTable(payload)),
    messageSection(detail, told.filter((finding) => !ofRequest(finding))),
    requestSection(detail, told.filter(ofRequest)),
  ];
}

// The inbox.

/** @type {Summary[]} the newest first, without a gap down to the last */
let messages = [];
let dropped = 0;
let nothingOlder = true;
let loading = false;
/** @type {number[]} the ids before which the pages of the list start, the last is shown */
let pages = [Infinity];
/** @type {Map<number, HTMLElement>} */
let rows = new Map();
/** @type {number|null} the message that keys speak of */
let current = null;
/** @type {number|null} the message whose detail is shown */
let opened = null;
/** @type {Summary[]} not announced yet */
let arrived = [];
let drawing = false;

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

/** @param {Summary[]} batch with ids that are all new */
function add(batch) {
  messages = [...messages, ...batch].sort((one, other) => other.id - one.id);
}

async function loadNewest() {
  const answer = await ask(`/api/messages?limit=${FIRST}`);
  messages = [];
  rows.clear();
  pages = [Infinity];
  add(answer.messages);
  dropped = answer.dropped;
  nothingOlder = messages.length >= answer.total;
  draw();
}

/** Load some that are older. Ids rise, but what was deleted leaves gaps, so that the span to look at may grow. */
async function loadOlder() {
  const oldest = messages.at(-1)?.id ?? 0;
  const count = messages.length;
  for (let span = BATCH; !nothingOlder && messages.length === count; span *= 2) {
    let after = Math.max(0, oldest - 1 - span);
    nothingOlder = after === 0;
    while (after < oldest - 1) {
      const answer = await ask(`/api/messages?after=${after}&limit=${BATCH}`);
      add(answer.messages.filter((/** @type {Summary} */ { id }) => id < oldest));
      after = answer.messages.length < BATCH ? oldest : answer.messages.at(-1).id;
    }
  }
  nothingOlder ||= messages.length >= MOST_MESSAGES;
}

/** @param {Summary} message */
function arrive(message) {
  if (message.id <= (messages[0]?.id ?? 0)) return;
  messages.unshift(message);
  messages.splice(MOST_MESSAGES);
  arrived.push(message);
  draw();
}

/** @param {string|null} to whose messages were deleted, null for all */
function forget(to) {
  messages = messages.filter((message) => to !== null && message.to !== to);
  pages = [Infinity];
  draw();
}

/** @param {Summary} message */
function matches({ to, type, broken }) {
  const part = $('recipient').value.toLowerCase();
  return (!part || (to ?? '').toLowerCase().includes(part))
    && (!$('type').value || type === $('type').value)
    && (!$('broken').checked || broken);
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
  const before = pages.at(-1) ?? Infinity;
  const matching = messages.filter((message) => message.id < before && matches(message));
  const page = matching.slice(0, ROWS);
  rows = new Map(page.map((message) => [message.id, rows.get(message.id) ?? rowOf(message)]));
  arrange($('rows'), [...rows.values()]);
  markOpened();
  const empty = !messages.length && nothingOlder;
  $('empty').hidden = !empty;
  $('list').hidden = empty;
  $('newer').hidden = pages.length === 1;
  $('older').hidden = matching.length <= ROWS;
  $('nothing').hidden = page.length > 0 || !nothingOlder;
  $('end').hidden = !dropped || !nothingOlder || !$('older').hidden;
  $('end').textContent = `${dropped} older messages were dropped: the inbox is full.`;
  offerTypes();
  announceArrivals();
  if (matching.length <= ROWS && !nothingOlder) fill();
}

/** Load older ones, again and again, until it is known whether the page has a next one. */
function fill() {
  if (loading) return;
  loading = true;
  later(async () => {
    try {
      await loadOlder();
      draw();
    } finally {
      loading = false;
    }
  });
}

function offerTypes() {
  const select = $('type');
  const known = new Set([...select.options].map((option) => option.value));
  for (const { type } of messages) {
    if (type === null || known.has(type)) continue;
    known.add(type);
    select.append(element('option', { value: type }, type.slice(0, 60)));
  }
}

function announceArrivals() {
  if (arrived.length === 1) {
    const [message] = arrived;
    const words = [message.type ?? 'A message', 'to', message.to ?? 'nobody', verdictOf(message).textContent];
    announce(words.join(' '));
  } else if (arrived.length) {
    announce(`${arrived.length} messages arrived`);
  }
  arrived = [];
}

function filter() {
  pages = [Infinity];
  draw();
}

// Opening and closing; the address says which message is open.

function markOpened() {
  for (const [id, row] of rows) row.toggleAttribute('data-open', id === opened);
}

async function showOpened() {
  const id = Number(location.hash.slice(1)) || null;
  opened = id;
  current = id ?? current;
  markOpened();
  document.body.classList.toggle('reading', id !== null);
  $('detail').hidden = id === null;
  if (id === null) {
    $('detail').replaceChildren();
    return;
  }
  try {
    const detail = await ask(`/api/messages/${id}`);
    if (opened !== id) return;
    $('detail').replaceChildren(...detailOf(detail));
  } catch (problem) {
    if (opened !== id) return;
    const close = element('button', { type: 'button', class: 'close', click: closeDetail }, 'Close');
    const words = problem instanceof Error ? problem.message : String(problem);
    $('detail').replaceChildren(element('header', {}, element('h2', { tabindex: '-1' }, words), close));
  }
  $('detail').scrollTop = 0;
  $('detail').querySelector('h2').focus();
}

function closeDetail() {
  if (opened === null) return;
  history.pushState(null, '', location.pathname);
  showOpened();
  rows.get(current ?? 0)?.querySelector('a')?.focus();
}

// Keys.

/** @param {number} step */
function move(step) {
  const ids = [...rows.keys()];
  const index = ids.indexOf(opened ?? current ?? -1);
  const next = ids[index < 0 ? 0 : Math.min(Math.max(index + step, 0), ids.length - 1)];
  if (next === undefined) return;
  current = next;
  if (opened === null) rows.get(next)?.querySelector('a')?.focus();
  else location.replace(`#${next}`);
}

function copyCode() {
  const place = opened === null ? rows.get(current ?? 0) ?? $('rows') : $('detail');
  const button = place.querySelector('.code .copy');
  if (button) button.click();
  else announce('There is no code to copy');
}

/** @type {Record<string, () => void>} */
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

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (target.matches('select, input:not([type=checkbox])')) {
    if (event.key === 'Escape') target.blur();
    return;
  }
  // Arrows scroll what is being read.
  if (event.key.startsWith('Arrow') && opened !== null) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
}

// Theme.

const systemDark = matchMedia('(prefers-color-scheme: dark)');

/** What is stored, where the browser stores anything. @param {string} [chosen] to be stored */
function theme(chosen) {
  try {
    if (chosen) localStorage.setItem('theme', chosen);
    return chosen ?? localStorage.getItem('theme');
  } catch {
    return chosen ?? null;
  }
}

/** @param {string|null} chosen null follows the system */
function applyTheme(chosen) {
  const dark = chosen === null ? systemDark.matches : chosen === 'dark';
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  $('theme').setAttribute('aria-pressed', String(dark));
}

// The connection.

/** @param {string} state @param {string} words */
function tellConnection(state, words) {
  $('connection').dataset.state = state;
  $('connection').textContent = words;
}

/** What the stream told is done in its order, a reload of the inbox included. */
let work = Promise.resolve();

/** @param {() => void|Promise<void>} step */
function later(step) {
  work = work.then(step).then(() => tellProblem(null), tellProblem);
}

/** @param {number} [failures] in a row */
function connect(failures = 0) {
  const events = new EventSource('/api/events');
  const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ act) => {
    events.addEventListener(name, (event) => later(() => act(JSON.parse(event.data))));
  };
  events.addEventListener('hello', () => {
    const again = failures > 0;
    failures = 0;
    tellConnection('live', 'Live');
    // The server may be another one, with an inbox of its own: all is asked for anew.
    later(loadNewest);
    if (again && opened !== null) later(showOpened);
  });
  on('message', arrive);
  on('deleted', ({ to }) => forget(to));
  events.addEventListener('error', () => {
    events.close();
    tellConnection('lost', 'Not connected, trying again');
    setTimeout(() => connect(failures + 1), Math.min(500 * 2 ** failures, 5000));
  });
}

// What is there from the start.

/** @param {string} id @param {string} text @param {string} what */
function fillCopied(id, text, what) {
  $(id).append(element('code', {}, text), copyButton(text, what));
}

function listen() {
  $('recipient').addEventListener('input', filter);
  $('type').addEventListener('change', filter);
  $('broken').addEventListener('change', filter);
  $('older').addEventListener('click', () => turn([...pages, [...rows.keys()].at(-1) ?? Infinity]));
  $('newer').addEventListener('click', () => turn(pages.slice(0, -1)));
  $('rows').addEventListener('focusin', (/** @type {FocusEvent} */ event) => {
    const row = /** @type {HTMLElement} */ (event.target).closest('li');
    current = [...rows].find(([, one]) => one === row)?.[0] ?? null;
  });
  $('clear').addEventListener('click', () => $('confirm').showModal());
  $('delete').addEventListener('click', () => {
    $('confirm').close();
    ask('/api/messages', { method: 'DELETE' }).then(closeDetail).catch(tellProblem);
  });
  $('theme').addEventListener('click', () => applyTheme(theme($('theme').ariaPressed === 'true' ? 'light' : 'dark')));
  systemDark.addEventListener('change', () => applyTheme(theme()));
  $('keys').addEventListener('click', () => $('help').showModal());
  for (const button of document.querySelectorAll('[data-close]')) {
    button.addEventListener('click', () => button.closest('dialog')?.close());
  }
  document.addEventListener('keydown', onKey);
  addEventListener('hashchange', showOpened);
}

/** Show another page of the list. @param {number[]} wanted */
function turn(wanted) {
  pages = wanted;
  drawNow();
  scrollTo(0, 0);
  $('list').scrollTop = 0;
  $('rows').querySelector('a')?.focus();
}

const endpoint = `${location.origin}/`;
const example = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}';
document.title = `Mail inbox, ${location.host}`;
applyTheme(theme());
fillCopied('endpoint', endpoint, 'the URL');
fillCopied('example', `curl ${endpoint} -H 'Content-Type: application/json' -d '${example}'`, 'the command');
listen();
connect();
if (location.hash) showOpened();
