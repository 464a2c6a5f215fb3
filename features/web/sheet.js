/** The one dialog: people, rooms, comments and what is one's own open in it, beside the chat. */
import { $, el, say } from "./dom.js";
import { onChange, state } from "./store.js";
import { explain } from "./words.js";

const sheet = $("sheet");
/** Where the focus in a field would open a keyboard over half of the screen. */
const isTouch = matchMedia("(pointer: coarse)");
let update;
/** The list's entry that it was opened from. */
let opener;

/** Opens it. `build` fills it, and may give back what brings it up to date when something changes. */
export function open(title, build) {
  say($("sheet-title"), title);
  dispatchEvent(new Event("sheetopened"));
  const body = $("sheet-body");
  body.replaceChildren(el("p.error", { role: "alert" }));
  if (!sheet.open) {
    opener = document.activeElement.closest("[data-key]");
    sheet.showModal();
    // What lies outside of it can't be reached now.
    $("sheet-body").before($("news"));
  }
  update = build(body);
  update?.();
}

export const close = () => sheet.close();

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
$("close").onclick = close;
// Not a handler's property: one that returns false would undo every click.
sheet.addEventListener("click", ({ target }) => target === sheet && close());
sheet.onclose = () => {
  update = null;
  $("link").after($("news"));
  $("sheet-body").replaceChildren();
  dispatchEvent(new Event("sheetclosed"));
  // The browser gives the focus back, unless what had it was made anew meanwhile.
  if (document.activeElement !== document.body) return;
  const key = opener && CSS.escape(opener.dataset.key);
  const anew = key && document.querySelector(`.${opener.classList[0]}[data-key="${key}"]`);
  if (anew) anew.focus();
  else rest();
};

/** Puts the focus where one goes on, when what had it is gone. */
export function rest() {
  const place = sheet.open ? $("sheet-title") : !state.open ? document.querySelector("#chats a") : isTouch.matches ? $("title") : $("text");
  place?.focus();
}
