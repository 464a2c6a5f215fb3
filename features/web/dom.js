/** What builds the page. Text from others only ever becomes text: nothing here parses markup. */

export const $ = (id) => document.getElementById(id);

/**
 * What turns the order of the text around it, or isn't seen at all. The joiners belong to some scripts
 * and to many emoji, so they count only where they hide between other letters.
 */
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff]|(?<=^|[\p{ASCII}\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}])[\u200c\u200d]/gu;

/** A text as it can be shown: each such character is a sign that one sees and that does nothing. */
const inert = (text) => String(text).replaceAll("\r\n", "\n").replace(HIDDEN, "\ufffd");

const parts = (children) => children.flat().filter((child) => child != null && child !== false)
  .map((child) => (child.nodeType ? child : inert(child)));

/** Attributes that are read out or shown. */
const SHOWN = ["alt", "aria-label", "title"];

/**
 * An element, `tag.class`, with attributes, listeners (`onclick`) and children. The attributes may be
 * left away; what is null or false is left out.
 */
export function el(what, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  const props = children[0]?.constructor === Object ? children.shift() : {};
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : SHOWN.includes(name) ? inert(value) : value);
  }
  node.append(...parts(children));
  return node;
}

/** One of the pictures that index.html has. */
export function icon(id) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  use.setAttribute("href", `#i-${id}`);
  svg.append(use);
  return svg;
}

/** A name or a title amidst other text, which keeps its own direction to itself. */
export const name = (text) => el("bdi", text);

const sums = new WeakMap();

/** Fills a node, unless it says just that already: a screen reader would read it out again. */
export function say(node, ...children) {
  const sum = children.flat().map((child) => child?.dataset?.until ?? child?.textContent ?? child).join("\n");
  if (sums.get(node) === sum) return;
  sums.set(node, sum);
  node.replaceChildren(...parts(children));
}

const INNER = "a,button,input,textarea,[tabindex]";

/**
 * Makes the children of `parent` be the `entries`, `[key, data, view]` each: a child is made anew only
 * where its data is another, so that focus and selection stay as they are.
 */
export function keyed(parent, entries) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const [name, data, view] of entries) {
    const key = String(name);
    const sum = JSON.stringify(data);
    let node = old.get(key);
    old.delete(key);
    if (!node || sums.get(node) !== sum) {
      const fresh = view(data);
      fresh.dataset.key = key;
      sums.set(fresh, sum);
      if (node) replace(node, fresh);
      if (place === node) place = node ? fresh : place;
      node = fresh;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) node.remove();
}

/** What can have the focus and is always there. What comes and goes says what it is (`data-is`). */
const steady = (node) => [node, ...node.querySelectorAll(INNER)].filter((one) => !one.dataset.is);

/** Puts a node in another's place, with the focus where it was. */
function replace(node, fresh) {
  const focus = document.activeElement;
  const hadFocus = node.contains(focus);
  const { is } = focus.dataset;
  const index = steady(node).indexOf(focus);
  node.replaceWith(fresh);
  if (!hadFocus) return;
  const same = is ? fresh.querySelector(`[data-is="${CSS.escape(is)}"]`) : steady(fresh)[index];
  // What is in it may be in sight only while it has the focus.
  for (const one of [fresh, same]) one?.focus({ preventScroll: true });
}

/** Says something to those who listen to the page. */
export function announce(...words) {
  const line = el("p", ...words);
  $("live").append(line);
  setTimeout(() => line.remove(), 10_000);
}

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "short" });

/** Where the times are those of. */
export const zone = full.resolvedOptions().timeZone;

export const day = (at) => new Date(at).toDateString();
export const dayName = (at) => (day(at) === day(Date.now()) ? "Today" : date.format(new Date(at)));

/** A time of day; of another day with its date. */
export const moment = (at) => (day(at) === day(Date.now()) ? clock : full).format(new Date(at));

const timeView = (at, words) => el("time", { datetime: at, title: full.format(new Date(at)) }, words);
export const time = (at) => timeView(at, moment(at));
export const hour = (at) => timeView(at, clock.format(new Date(at)));

/** How long a number of seconds is. */
export function span(seconds) {
  const all = Math.max(0, Math.ceil(seconds));
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
}

const remaining = (until) => span((until - Date.now()) / 1000);

/** How near a time is that is counted down to, in milliseconds. */
const NEAR = 600_000;
const nearing = (until) => (until - Date.now() < NEAR ? `in the next ${remaining(until)}` : `until ${moment(Number(until))}`);

const timer = (words, until, props) => el("span", { role: "timer", "data-until": until, ...props }, words(until));
/** How long it is until a time, in milliseconds since 1970; it counts down by itself. */
export const countdown = (until) => timer(remaining, until);
/** Until when something is so, which counts down once that is near. */
export const period = (until) => timer(nearing, until, { "data-near": true });

setInterval(() => {
  for (const node of document.querySelectorAll("[data-until]")) {
    const { until, near } = node.dataset;
    const words = (near == null ? remaining : nearing)(until);
    if (node.textContent !== words) node.textContent = words;
    if (until < Date.now()) dispatchEvent(new Event("due"));
  }
}, 1000);

/** A number of bytes as people say it; rounded up, where it is no limit. */
export function size(bytes, round = Math.ceil) {
  const units = ["B", "KiB", "MiB", "GiB"];
  const step = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 2 ** (10 * step);
  const parts = value < 10 ? 10 : 1;
  return `${round(value * parts) / parts} ${units[step]}`;
}
