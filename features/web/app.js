/** The page put together: the door, the stream, which chat is open, and what is up. */
import { $, countdown, el, say } from "./dom.js";
import { post, session, setSession } from "./net.js";
import { follow } from "./hub.js";
import { changed, chatOf, everyone, hear, load, notice, onChange, state, takeComment, takeMessage } from "./store.js";
import { flush, sent, wipe } from "./outbox.js";
import { close } from "./sheet.js";
import { explain } from "./words.js";
import { titleOf } from "./chats.js";
import * as composer from "./composer.js";
import * as messages from "./messages.js";
import { showAccount } from "./account.js";
import { showJoin, showRoom, waitingAt } from "./groups.js";
import { showLater } from "./later.js";
import { showPeople, showPerson } from "./people.js";
import "./find.js";
import { heardTyping, stoppedTyping, typists } from "./typing.js";

const isWide = matchMedia("(min-width: 700px)");
/** Where a page that is loaded anew finds what to say. */
const WHY = "veche.why";
let hub;
let isOpening = false;
/** The address of the chat that is shown. */
let shown = "";

/** The code in the address, where the page was come to by a link. */
const code = () => /^\/join\/([^/]+)$/.exec(location.pathname)?.[1];

function begin() {
  const who = session();
  $("door").hidden = Boolean(who);
  $("app").hidden = !who;
  if (who) {
    state.me = who.name;
    hub = follow(who, told);
  } else {
    $("why").textContent = sessionStorage.getItem(WHY) ?? (code() ? "You are invited to a room. Connect first, then ask to come in." : "");
    sessionStorage.removeItem(WHY);
    $("connect").elements.name.focus();
  }
}

/** What the stream tells. */
function told(message) {
  if (message.state === "ended") return signedOut("You were signed out.");
  if (message.state) {
    const isBack = message.state === "open" && state.link.state !== "open";
    state.link = { ...message, until: Date.now() + 1000 * (message.wait ?? 0) };
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
    if (state.ready) await everyone();
    // Also where it turned out meanwhile that all is to be asked for anew.
    if (!state.ready) {
      await load();
      shown = "";
      route();
    }
    flush();
    if (code()) {
      showJoin(code());
      history.replaceState(null, "", "/");
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

/** The chat that the address of the page names. */
function named() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** Opens the chat that the address names. */
function route() {
  const address = named() || (isWide.matches ? "common" : "");
  state.open = address;
  document.body.classList.toggle("open", Boolean(address));
  if (state.ready && address !== shown) {
    shown = address;
    if (address) {
      messages.show(address);
      composer.show(address);
      if (!$("sheet").open) $(isWide.matches ? "text" : "title").focus();
    }
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
  const asks = waitingAt(address);
  say($("about"), typists(address) ?? {
    common: `${chat.members} ${chat.members === 1 ? "person" : "people"}, ${[...state.users.values()].filter((one) => one.online).length} online`,
    private: address === `@${state.me}` ? "only you" : online ? "online" : "not here now",
    room: `${chat.members} member${chat.members === 1 ? "" : "s"}${asks ? `, ${asks} ask${asks === 1 ? "s" : ""} to come in` : ""}`,
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
    setSession({ name: user.name, client, token });
    form.reset();
    begin();
  } catch (problem) {
    error.textContent = explain(problem);
  }
  button.disabled = false;
};

$("details").onclick = () => {
  const address = state.open;
  const chat = chatOf(address);
  if (chat.kind === "room") showRoom(address);
  else if (chat.kind === "private" && chat.title !== state.me) showPerson(chat.title);
  else showPeople();
};
$("new").onclick = showPeople;
$("later").onclick = showLater;
$("me").onclick = () => showAccount(() => {
  wipe();
  signedOut("You are signed out.");
});
addEventListener("hashchange", () => {
  close();
  route();
});
addEventListener("online", () => hub?.retry());
addEventListener("ended", () => signedOut("You were signed out."));
let toast;
addEventListener("notice", ({ detail }) => {
  $("toast").hidden = false;
  $("toast").replaceChildren(el("span", ...detail));
  clearTimeout(toast);
  toast = setTimeout(() => ($("toast").hidden = true), 6000);
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
