/** The messages of the chat that is open: scrolling, the mark where the unread begins, reading. */
import { $, announce, day, dayName, el, hour, keyed, moment } from "./dom.js";
import { post } from "./net.js";
import { changed, chatOf, fetchHistory, has, isMe, onChange, state, trim } from "./store.js";
import { discard, keepDraft, draft, retry, waiting } from "./outbox.js";
import { fileView } from "./attach.js";
import { showThread } from "./thread.js";
import { showPerson } from "./people.js";

const scroll = $("scroll");
/** Posts of one author within so many milliseconds stand together. */
const TOGETHER = 5 * 60_000;
/** Where the unread began when the chat was opened, or left alone; null before that is known. */
let mark = null;
let address;
let isAtEnd = true;
let isFetching = false;
let isFailed = false;
/** The message that the keyboard is at. */
let current = 0;
const told = new Map();

/** Shows another chat. */
export function show(next) {
  if (address && address !== next) trim(address);
  address = next;
  mark = null;
  current = 0;
  isAtEnd = true;
  isFailed = false;
  $("messages").replaceChildren();
  $("pending").replaceChildren();
}

/** Shows what changed, and stays where the reader is. */
export function render() {
  const history = state.histories.get(address);
  const chat = chatOf(address);
  if (!history && !isFailed) more();
  else mark ??= chat.unread && firstUnread(history.list, chat.unread);
  const top = history?.list[0]?.id;
  const isOlder = top < $("messages").first;
  const below = scroll.scrollHeight - scroll.scrollTop;
  keyed($("messages"), entries(history?.list ?? []));
  keyed($("pending"), waiting(address).map((one) => [one.key, { ...one, isOpen: state.link.state === "open" }, pendingView]));
  $("messages").first = top;
  $("start").textContent = startLine(history);
  if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
  else if (isOlder) scroll.scrollTop = scroll.scrollHeight - below;
  $("down").hidden = isAtEnd || !chat.unread;
  read();
}

function startLine(history) {
  if (isFailed) return "Older messages can't be fetched just now.";
  if (!history || history.more) return "Loading…";
  if (history.list.length) return "";
  return address === `@${state.me}` ? "Your notebook. Nobody else sees it." : "Nothing here yet. Say something.";
}

async function more() {
  if (isFetching || !state.ready) return;
  isFetching = true;
  try {
    await fetchHistory(address);
    isFailed = false;
  } catch (problem) {
    isFailed = true;
    // A private chat with somebody who is not there, or a room that was left.
    if (problem.status === 404) location.hash = "";
  }
  isFetching = false;
  changed();
}

function firstUnread(list, count) {
  const others = list.filter(({ from }) => !isMe(from));
  return others.at(-count)?.id ?? others[0]?.id ?? 0;
}

function* walk(list) {
  let before;
  for (const message of list) {
    const isNewDay = day(message.at) !== day(before?.at ?? 0);
    if (isNewDay) yield [day(message.at), dayName(message.at), (name) => el("li.day", name)];
    if (message.id === mark) yield ["mark", "New", (name) => el("li.mark", name)];
    const follows = !isNewDay && message.id !== mark && before.from === message.from && Date.parse(message.at) - Date.parse(before.at) < TOGETHER;
    yield [message.id, { ...message, follows }, messageView];
    before = message;
  }
}
const entries = (list) => [...walk(list)];

function messageView(message) {
  const { id, from, text, at, expires, file, comments, follows } = message;
  const word = comments ? `${comments} comment${comments > 1 ? "s" : ""}` : "Comment";
  const until = expires && `Until ${moment(expires)}`;
  return el("li", { class: `message${isMe(from) ? " mine" : ""}${follows ? " follows" : ""}${names(text) ? " names" : ""}`, tabindex: id === current ? 0 : -1, "data-id": id, title: until },
    el("div", { class: follows ? "unseen" : "by" }, el("b", from), " ", hour(at)),
    text && el("p.text", { dir: "auto" }, linked(text)),
    file && fileView(file),
    el("div", { class: `acts${comments ? " has" : ""}` },
      has("comments") && el("button.quiet.comments", { onclick: () => showThread(message) }, word),
      !isMe(from) && el("button.quiet", { onclick: () => showPerson(from, message) }, `About ${from}`)));
}

/** Whether a text names the reader. */
const names = (text) => text.toLowerCase().split(/[^\p{L}\p{N}\p{M}_.@-]+/u).includes(`@${state.me.toLowerCase()}`);

/** A text with its web addresses as links. */
export function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]])/).map((part, index) =>
    index % 2 ? el("a", { href: part, rel: "noopener noreferrer", target: "_blank" }, part) : part);
}

/** A post that is not sent yet. */
export function pendingView(one) {
  const how = one.isOpen ? "Sending…" : "Waits for the connection";
  return el("li", { class: `message mine waiting${one.failed ? " failed" : ""}` },
    el("p.text", { dir: "auto" }, one.body.text || "A file"),
    el("p.how", { role: "status" }, one.failed ? `Not sent: ${one.failed}` : how),
    one.failed && el("div.acts.has",
      el("button.quiet", { onclick: () => retry(one) }, "Try again"),
      el("button.quiet", { onclick: () => edit(one) }, "Edit"),
      el("button.quiet", { onclick: () => discard(one) }, "Discard")));
}

/** Takes a post that failed back into the field it came from. */
function edit(one) {
  const { text, files } = draft(one.place);
  keepDraft(one.place, { text: [one.body.text, text].filter(Boolean).join("\n"), files });
  discard(one);
  dispatchEvent(new Event("redraft"));
}

/** Marks as read what is looked at. */
function read() {
  const chat = chatOf(address);
  const isLooking = document.visibilityState === "visible" && document.hasFocus() && isAtEnd;
  if (!isLooking || !chat.unread || !state.histories.has(address) || told.get(address) === chat.top) return;
  told.set(address, chat.top);
  post("/read", { chat: address, upto: chat.top }).catch(() => told.delete(address));
}

/** Tries once more what could not be fetched. */
export function again() {
  isFailed = false;
  told.clear();
}

export function toEnd() {
  isAtEnd = true;
  scroll.scrollTop = scroll.scrollHeight;
  changed();
}

scroll.addEventListener("scroll", () => {
  const wasAtEnd = isAtEnd;
  isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  const history = state.histories.get(address);
  if (scroll.scrollTop < 300 && history?.more) more();
  if (isAtEnd !== wasAtEnd) changed();
}, { passive: true });
new ResizeObserver(() => isAtEnd && (scroll.scrollTop = scroll.scrollHeight)).observe(scroll);
$("down").onclick = toEnd;
addEventListener("focus", changed);
document.addEventListener("visibilitychange", changed);

/** Up and down go from message to message; what can be done with one is a Tab away. */
$("scroll").addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...$("messages").querySelectorAll(".message")];
  const at = all.indexOf(document.activeElement.closest(".message"));
  const to = all[at < 0 ? all.length - 1 : at + step];
  if (!to) return;
  event.preventDefault();
  all[at]?.setAttribute("tabindex", -1);
  to.setAttribute("tabindex", 0);
  current = Number(to.dataset.id);
  to.focus();
});

addEventListener("posted", ({ detail: { address: where, message } }) => {
  const place = where === address ? "" : where === "common" ? " to everyone" : where.startsWith("room:") ? ` in ${chatOf(where).title}` : " to you";
  announce(`${message.from}${place}: ${message.text || message.file?.name || "a file"}`);
  if (where === address && !mark && !document.hasFocus()) mark = message.id;
});

onChange(() => address && state.ready && render());
