/** The one dialog: people, rooms and what is one's own open in it, over the chat, and comments beside it. */
import { $, el, say } from "./dom.js";
import { enter, leave, sheetHere } from "./place.js";
import { onChange, state } from "./store.js";
import { explain } from "./words.js";

const sheet = $("sheet");
/** Where the focus in a field would open a keyboard over half of the screen. */
const isTouch = matchMedia("(pointer: coarse)");
let update;
/** Where there is room for one more column. */
const isRoomy = matchMedia("(min-width: 1000px)");
/** Whether it may be a column beside the chat, which one reads and writes in meanwhile. */
let mayBeside = false;
const isBeside = () => document.body.classList.contains("beside");
/** The list's entry that it was opened from. */
let opener;
/** The column whose place something else has taken, which comes back when that is closed. */
let under;
/** What the one is about that is open, as text, or null. */
let shown = null;
/** Whether it was closed here, and not by the browser. */
let isShut = false;
/** What shows a sheet again that has a name: after a reload, and where the browser goes back or forward to it. */
const pages = new Map();
export const page = (name, view) => pages.set(name, view) && view;
/** Sheets without a name are told apart by this. */
let number = 0;

/** Shows it over the chat, or beside it. */
function show() {
  const beside = mayBeside && isRoomy.matches;
  if (sheet.open && beside === isBeside()) return;
  const focus = document.activeElement;
  sheet.close();
  putBeside(beside);
  if (beside) sheet.show();
  else sheet.showModal();
  if (sheet.contains(focus)) focus.focus();
  placeNews();
}

/** Makes room for the column, or takes it back. */
function putBeside(beside) {
  if (beside === isBeside()) return;
  dispatchEvent(new Event("reflow"));
  document.body.classList.toggle("beside", beside);
}

/** What lies outside of a modal sheet can't be reached. */
function placeNews() {
  if (sheet.open && !isBeside()) $("sheet-body").before($("news"));
  else $("link").after($("news"));
}

/**
 * Opens it. `build` fills it, and may give back what brings it up to date when something changes. It is `about` the name of
 * a page and what that takes, where it can be shown again. Where there is room, one that is `beside` is a column.
 */
export function open(title, build, about = ["", number += 1], beside = false) {
  const body = $("sheet-body");
  const isOver = !beside && isBeside();
  if (beside) under = null;
  else if (isOver) under = { title: $("sheet-title").textContent, nodes: [...body.childNodes], update, shown };
  shown = JSON.stringify(about);
  isShut = false;
  enter(about, isOver);
  say($("sheet-title"), title);
  dispatchEvent(new Event("sheetopened"));
  body.replaceChildren(el("p.error", { role: "alert" }));
  if (!sheet.contains(document.activeElement)) opener = document.activeElement.closest("[data-key]");
  mayBeside = beside;
  show();
  update = build(body);
  update?.();
}

/** Closes it here; the browser's history is as if it had not been open. */
function shut() {
  isShut = true;
  shown = under?.shown ?? null;
  sheet.close();
}

export function close() {
  if (!sheet.open) return;
  shut();
  leave();
}

/** Shows what the browser has gone to. */
addEventListener("moved", () => {
  const about = sheetHere();
  const wanted = about ? JSON.stringify(about) : null;
  if (wanted === shown) return;
  if (wanted === under?.shown) shut();
  else if (!about) {
    // The comments of a chat go with it.
    under = null;
    shut();
  } else if (!pages.has(about[0])) leave();
  else if (state.ready) pages.get(about[0])(...about.slice(1));
});

/** Gives what is open another heading. */
export const retitle = (title) => say($("sheet-title"), title);

/** Says in it why something was not done. */
export function fail(problem) {
  const line = sheet.querySelector(".error");
  if (line) line.textContent = problem ? explain(problem) : "";
}

/** A button that does something with the server; it waits for it, and says what went wrong. */
export function action(label, act, props) {
  const button = el("button", { type: "button", ...props, onclick: () => attempt(button, act) }, label);
  return button;
}

/** A form of the sheet. `act` gets its values. */
export function form(fields, label, act, props) {
  const button = el("button.main", label);
  const node = el("form", {
    ...props,
    onsubmit(event) {
      event.preventDefault();
      attempt(button, () => act(Object.fromEntries(new FormData(node)), node));
    },
  }, fields, button);
  return node;
}

async function attempt(button, act) {
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  fail(null);
  try {
    await act();
  } catch (problem) {
    fail(problem);
  }
  button.disabled = false;
  // A button that does its work can't have the focus, and may be gone after it.
  if (!hadFocus || !sheet.open || ![document.body, sheet].includes(document.activeElement)) return;
  if (button.isConnected) button.focus();
  else rest();
}

onChange(() => sheet.open && update?.());
isRoomy.onchange = () => sheet.open && show();
sheet.addEventListener("cancel", (event) => {
  if (event.target !== sheet) return;
  event.preventDefault();
  close();
});
// The browser would close a modal one by itself, but not where a field to search in has the focus.
sheet.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  event.preventDefault();
  close();
});
$("close").onclick = close;
// Not a handler's property: one that returns false would undo every click.
sheet.addEventListener("click", ({ target }) => target === sheet && close());
sheet.onclose = () => {
  // It is there again already, in its other place or with something else.
  if (sheet.open) return;
  if (!isShut) {
    shut();
    leave();
  }
  if (under) return comeBack();
  update = null;
  putBeside(false);
  placeNews();
  $("sheet-body").replaceChildren();
  dispatchEvent(new Event("sheetclosed"));
  // The browser gives the focus back, unless what had it was made anew meanwhile.
  if (document.activeElement !== document.body) return;
  const key = opener && CSS.escape(opener.dataset.key);
  const anew = key && document.querySelector(`.${opener.classList[0]}[data-key="${key}"]`);
  if (anew) anew.focus();
  else rest();
};

/** Shows the column again, as it was. */
function comeBack() {
  const focus = document.activeElement;
  const { title, nodes } = under;
  ({ update } = under);
  under = null;
  mayBeside = true;
  say($("sheet-title"), title);
  $("sheet-body").replaceChildren(...nodes);
  show();
  focus.focus();
  update?.();
}

/** Puts the focus where one goes on, when what had it is gone. */
export function rest() {
  const place = sheet.open ? $("sheet-title") : !state.open ? document.querySelector("#chats a") : isTouch.matches ? $("title") : $("text");
  place?.focus();
}
