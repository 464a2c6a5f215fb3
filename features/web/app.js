/** The page put together: the door, the stream, which chat is open, and what is up. */
import { $, announce, countdown, el, say } from "./dom.js";
import { post, session, setSession } from "./net.js";
import { follow } from "./hub.js";
import { asksIn, changed, chatOf, hear, isBot, load, membersOf, notice, onChange, refresh, state, takeComment, takeMessage } from "./store.js";
import { flush, sent, wipe } from "./outbox.js";
import { addressIn, go, here } from "./place.js";
import { rest } from "./sheet.js";
import { explain } from "./words.js";
import { asksText, titleOf } from "./chats.js";
import * as composer from "./composer.js";
import * as messages from "./messages.js";
import { showAccount } from "./account.js";
import { findLost, showJoin, showRoom } from "./groups.js";
import { showLater } from "./later.js";
import { showPeople, showPerson } from "./people.js";
import "./find.js";
import { heardTyping, stoppedTyping, typists } from "./typing.js";

const isWide = matchMedia("(min-width: 700px)");
/** Where a page that is loaded anew finds what to say. */
const WHY = "veche.why";
const NAME = "veche.name";
/** How long a notice stands, in milliseconds. */
const NOTICED = 8000;
let hub;
let isOpening = false;
/** The address of the chat that is shown. */
let shown = "";
/** The address of the chat that the field is for. */
let written = "";
/** How often all that is known was void. */
let resets = 0;

const UNKEPT = "This browser keeps nothing more for this page, and what is not kept is not sent. Let it keep data, or make room, and load the page anew.";
/** What can't be kept is told, where the browser does not let this page keep anything, or not so much. */
function unkept(event, error) {
  if (!["QuotaExceededError", "SecurityError"].includes(error?.name)) return;
  event.preventDefault();
  if ($("app").hidden) {
    $("door").hidden = false;
    $("why").textContent = UNKEPT;
  } else if ($("toast").hidden || $("notice").textContent !== UNKEPT) notice(UNKEPT);
}
addEventListener("error", (event) => unkept(event, event.error));
addEventListener("unhandledrejection", (event) => unkept(event, event.reason));

/** The code in the address, where the page was come to by a link. */
const code = () => /^\/join\/([^/]+)$/.exec(location.pathname)?.[1];

function begin() {
  const who = session();
  $("door").hidden = Boolean(who);
  $("app").hidden = !who;
  if (who) {
    state.me = who.name;
    hub = follow(who, heard);
    route();
  } else {
    $("why").textContent = sessionStorage.getItem(WHY) ?? (code() ? "You came by the link to a room. Connect first: then you can ask to come in, if the link works." : "");
    sessionStorage.removeItem(WHY);
    const { name, password } = $("connect").elements;
    name.value = sessionStorage.getItem(NAME) ?? "";
    sessionStorage.removeItem(NAME);
    (name.value ? password : name).focus();
    // What was open was another's.
    history.replaceState(null, "");
  }
}

/** What the stream tells. */
function heard(message) {
  if (message.state === "ended") return ended();
  if (message.state) {
    const isBack = message.state === "open" && isOffline();
    state.link = message;
    if (isBack) opened();
  }
  if (message.events) {
    hear(message.events);
    for (const { event, data } of message.events) {
      if (event === "typing") heardTyping(data);
      else if (event === "message") stoppedTyping(data);
    }
    if (message.events.some(({ event }) => event === "reset")) {
      state.ready = false;
      resets += 1;
      opened();
    }
  }
  changed();
}

/** The stream is there: asks for all, or goes on with what is there. */
async function opened() {
  if (isOpening) return;
  isOpening = true;
  messages.again();
  try {
    if (state.ready && !(await refresh())) state.ready = false;
    // Also where it turns out meanwhile that all is to be asked for anew.
    while (!state.ready) {
      const before = resets;
      await load();
      state.ready = before === resets;
      shown = "";
      // What was open before a reload is shown again.
      dispatchEvent(new Event("moved"));
    }
    findLost();
    flush();
    if (code()) {
      const invited = code();
      history.replaceState(null, "", "/");
      showJoin(invited);
    }
  } catch (problem) {
    if (problem.passing) setTimeout(opened, 3000);
    else notice(explain(problem));
  }
  isOpening = false;
}

/** Begins anew, so that nothing of who was here stays in memory; other tabs follow. */
function signedOut(why) {
  if (!session()) return;
  hub?.stop(true);
  setSession(null);
  sessionStorage.setItem(WHY, why);
  location.reload();
}

/** Who did not ask for it comes in again under the same name. */
function ended() {
  if (session()) sessionStorage.setItem(NAME, state.me);
  signedOut("You were signed out.");
}

/** Opens the chat that the address names. */
function route() {
  const address = here();
  state.open = address;
  document.body.classList.toggle("open", Boolean(address));
  // What is typed needs no server: it is kept from the first letter on, whatever is still to be fetched.
  if (address !== written) {
    written = address;
    if (address) composer.show(address);
    if (address && isWide.matches && !$("sheet").open) $("text").focus();
  }
  if (state.ready && address !== shown) {
    shown = address;
    if (address) messages.show(address);
    if (address && !isWide.matches && !$("sheet").open && document.activeElement !== $("text")) $("title").focus();
  }
  changed();
}

onChange(() => {
  const address = state.open;
  showLink();
  // What they open depends on what the server has.
  for (const id of ["new", "later", "details"]) $(id).disabled = !state.ready;
  if (!address || !state.ready) return;
  const chat = chatOf(address);
  say($("title"), titleOf(chat));
  const { online } = state.users.get(address.slice(1)) ?? {};
  const isProgram = chat.kind === "private" && isBot(chat.title);
  $("composer").hidden = isProgram;
  const asks = asksIn(address);
  const members = membersOf(chat);
  say($("about"), typists(address) ?? {
    common: `${members} ${members === 1 ? "person" : "people"}, ${[...state.users.values()].filter((one) => one.online).length} online`,
    private: address === `@${state.me}` ? "only you" : isProgram ? "a program, which reads nothing" : online ? "online" : "not here now",
    room: `${members} member${members === 1 ? "" : "s"}${asks ? `, ${asksText(asks)} to come in` : ""}`,
  }[chat.kind]);
  $("details").classList.toggle("asks", asks > 0);
  $("text").placeholder = `Write to ${titleOf(chat)}`;
});

function showLink() {
  const { state: how, until } = state.link;
  const words = how === "connecting" ? ["Connecting…"]
    : how !== "offline" ? [!state.ready && "Loading…"]
      : until > Date.now() ? ["Offline. Trying again in ", countdown(until), ". ", el("button.quiet", { onclick: () => hub?.retry() }, "Try now")]
        : ["Offline. Trying again…"];
  say($("link"), words);
  $("link").hidden = !words[0];
}

$("connect").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  const [error, button] = [form.querySelector(".error"), form.querySelector("button")];
  const { name, password } = Object.fromEntries(new FormData(form));
  error.textContent = "";
  button.disabled = true;
  try {
    const { user, client, token } = await post("/connect", { name, ...(password && { password }) });
    setSession({ name: user.name, client, token, hasPassword: Boolean(password) });
    form.reset();
    begin();
  } catch (problem) {
    error.textContent = explain(problem.code === "wrong_password" && !password ? { ...problem, code: "no_password" } : problem);
  }
  button.disabled = false;
};

$("details").onclick = () => {
  const address = state.open;
  const chat = chatOf(address);
  if (chat.kind === "room") showRoom(address);
  else if (chat.kind === "private" && chat.title !== state.me) showPerson(chat.title);
  else showPeople(true);
};
$("new").onclick = () => showPeople();
$("later").onclick = showLater;
$("me").onclick = showAccount;
addEventListener("signout", () => {
  wipe();
  signedOut("You are signed out.");
});
addEventListener("moved", route);
/** The ways to the chats; one who wants them in another tab has them there. */
addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(addressIn(link.hash), link.id === "back");
});
addEventListener("online", () => hub?.retry());
addEventListener("ended", ended);
let toast;
/** What was told last, `{where, holds, held}`: where one was then, and whether it holds, if that can be known. */
let told = {};
/** Where one is: which chat is open, and whether something is beside it. */
const where = () => `${$("sheet").open} ${location.hash}`;
/** Takes away what was told. */
function dismiss() {
  const hadFocus = $("toast").contains(document.activeElement);
  $("toast").hidden = true;
  if (hadFocus) rest();
}
/** Whether there is no way to the server. */
const isOffline = () => state.link.state !== "open";
addEventListener("notice", ({ detail: { words: detail, holds } }) => {
  if (detail[0] === explain({ code: "offline" })) holds = isOffline;
  told = { where: where(), holds };
  $("toast").hidden = false;
  $("notice").replaceChildren(el("span", ...detail));
  announce(...detail.map((one) => one.cloneNode?.(true) ?? one));
  clearTimeout(toast);
  toast = setTimeout(dismiss, NOTICED);
});
$("dismiss").onclick = dismiss;
/** Who has gone on is told no more; but what was told after that stands, though its event came later. */
function goneOn() {
  if (told.where !== where()) dismiss();
}
addEventListener("moved", goneOn);
addEventListener("sheetclosed", goneOn);
addEventListener("sheetopened", dismiss);
onChange(() => {
  const holds = told.holds?.();
  if (told.held && !holds) dismiss();
  told.held ||= holds;
});
addEventListener("storage", ({ key }) => {
  if (key === "veche.session") location.reload();
  changed();
  // Should the tab that waits to send go, this one does it.
  if (key?.includes(".post.")) flush();
});
isWide.onchange = route;
sent.addEventListener("sent", ({ detail: { one, answer } }) => {
  if (one.path === "/send") takeMessage(answer, true);
  else takeComment(answer);
  changed();
});
/** Alt with up and down goes to the next chat. */
addEventListener("keydown", (event) => {
  const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const links = [...$("chats").querySelectorAll("a")];
  const at = links.findIndex((one) => one.hasAttribute("aria-current"));
  links[at + step]?.click();
});
begin();
