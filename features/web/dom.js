/** What builds the page. Text from others only ever becomes text: nothing here parses markup. */

export const $ = (id) => document.getElementById(id);

/**
 * An element, `tag.class`, with attributes, listeners (`onclick`) and children. The attributes may be
 * left away; what is null or false is left out.
 */
export function el(what, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  node.classList.add(...classes);
  const props = children[0]?.constructor === Object ? children.shift() : {};
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

const sums = new WeakMap();
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

/** Puts a node in another's place, with the focus where it was. */
function replace(node, fresh) {
  const focus = document.activeElement;
  const index = [node, ...node.querySelectorAll(INNER)].indexOf(focus);
  node.replaceWith(fresh);
  if (index >= 0) [fresh, ...fresh.querySelectorAll(INNER)][index]?.focus({ preventScroll: true });
}

/** Says something to those who listen to the page. */
export function announce(text) {
  const line = el("p", text);
  $("live").append(line);
  setTimeout(() => line.remove(), 10_000);
}

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "short" });

export const day = (at) => new Date(at).toDateString();
export const dayName = (at) => (day(at) === day(Date.now()) ? "Today" : date.format(new Date(at)));
export const moment = (at) => full.format(new Date(at));

/** A time of day; of another day with its date. */
export const time = (at) =>
  el("time", { datetime: at, title: moment(at) }, day(at) === day(Date.now()) ? clock.format(new Date(at)) : moment(at));

export const hour = (at) => el("time", { datetime: at, title: moment(at) }, clock.format(new Date(at)));

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  const step = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 2 ** (10 * step)).toFixed(step && bytes < 10 * 2 ** (10 * step) ? 1 : 0)} ${units[step]}`;
}
