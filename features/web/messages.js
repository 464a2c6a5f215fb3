/** The messages of the chat that is open: scrolling, the mark where the unread begins, reading. */
import { $, announce, countdown, day, dayName, el, hour, keyed, moment, name, say, size, time } from "./dom.js";
import { get, now, post } from "./net.js";
import { changeableUntil, changed, chatOf, has, isChangeable, isMe, notice, onChange, state } from "./store.js";
import { fetchHistory, firstUnread, trim, whereUnread } from "./history.js";
import { LONGEST, discard, draft, isHeld, keepDraft, queue, release, retry, unsent, uploadOf } from "./outbox.js";
import { go } from "./place.js";
import { explain } from "./words.js";
import { fileState, fileView } from "./attach.js";
import { choose, reactionsView } from "./emoji.js";
import { showThread } from "./thread.js";
import { progressView } from "./uploads.js";
import { showPerson } from "./people.js";
import { action, close, fail, open } from "./sheet.js";

const scroll = $("scroll");
const list = $("messages");
/** Posts of one author within so many milliseconds stand together. */
const TOGETHER = 5 * 60_000;
/** Scrolling is over when there is none for so many milliseconds. */
const REST = 300;
/** Where the unread began when the chat was opened, or left alone; 0 for nowhere, null while that is not known. */
let mark = null;
let address;
let isAtEnd = true;
/** The stretch of messages that is shown. */
let stretch = 0;
/** What is being fetched. */
let fetching = null;
let isFailed = false;
/** The message that the keyboard is at. */
let current = 0;
/** The message that is to be in sight, or the `end`; 0 for none. */
let goal = 0;
/** So near to the end of what is held, in pixels, what follows is fetched. */
const NEAR = 300;
/** How far it was told in each chat that it is read. */
const told = new Map();

/** Shows another chat. */
export function show(next) {
  if (address && address !== next) trim(address);
  address = next;
  if (goal === "end") goal = 0;
  // Where it was left is not where the new begins.
  if (!goal && whereUnread(address)) state.histories.delete(address);
  mark = null;
  stretch = 0;
  current = 0;
  isAtEnd = true;
  isFailed = false;
  list.replaceChildren();
  $("pending").replaceChildren();
}

/** The messages that are in sight, at least in part. Lines of days move when older messages come. */
const inSight = () => [...list.querySelectorAll(".message")].filter((node) =>
  node.offsetTop + node.offsetHeight > scroll.scrollTop && node.offsetTop < scroll.scrollTop + scroll.clientHeight);

/** Shows what changed, and stays where the reader is. */
function render() {
  const history = state.histories.get(address);
  if (!history && !isFailed) more();
  const isOpened = history && stretch !== history.stretch;
  stretch = history?.stretch;
  if (history && mark === null) mark = firstUnread(address);
  isAtEnd &&= !history?.later;
  const places = isAtEnd ? [] : inSight().map((node) => [node.dataset.key, node.offsetTop - scroll.scrollTop]);
  keyed(list, history ? [...entries(history)] : []);
  keyed($("pending"), pending(address));
  lookAgain(history?.list ?? []);
  say($("start"), startLine(history));
  const [kept, place] = places.find(([key]) => entryOf(key)) ?? [];
  // Beneath a modal sheet nothing can have the focus.
  const found = goal && goal !== "end" && !document.querySelector("dialog:modal") && entryOf(goal);
  if (goal === "end" && history && !history.later) toEnd();
  else if (found) toGoal(found);
  else if (isOpened && entryOf("mark")) toMark();
  else if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
  else if (kept) move(entryOf(kept).offsetTop - scroll.scrollTop - place);
  look();
  read();
  if (scroll.scrollHeight <= scroll.clientHeight) fetchNear();
}

let closing;
/** Looks again when the next of the messages can be changed no more. */
function lookAgain(messages) {
  clearTimeout(closing);
  const next = messages.find(isChangeable);
  const wait = next ? changeableUntil(next) - now() : Infinity;
  if (wait <= LONGEST) closing = setTimeout(changed, wait);
}

/** Scrolls by so many pixels. By none would stop a finger's swing, too. */
function move(by) {
  if (by) scroll.scrollTop += by;
}

const entryOf = (key) => list.querySelector(`[data-key="${key}"]`);

function startLine(history) {
  if (isFailed) return "Older messages can't be fetched just now.";
  if (!history || history.more) return "Loading…";
  if (history.list.length) return "";
  return address === `@${state.me}` ? "Your notebook. Nobody else sees it." : "Nothing here yet. Say something.";
}

/** Fetches messages, as `fetchHistory` does. One at a time: the next goes on where this one ended. */
async function more(place = address, where) {
  if (!state.ready) return;
  fetching ??= fetchMore(place, where).finally(() => {
    fetching = null;
    changed();
  });
  await fetching;
}

/** Fetches others in the place of what is held. */
async function jump(place, where) {
  await fetching;
  await more(place, where);
}

/** Fetches what is next to what is in sight. */
function fetchNear() {
  const history = state.histories.get(address);
  if (!history?.list.length || isFailed) return;
  if (history.more && scroll.scrollTop < NEAR) more(address, "older");
  else if (history.later && toBottom() < NEAR) more(address, "later");
}

async function fetchMore(place, where) {
  try {
    await fetchHistory(place, where);
    isFailed = false;
  } catch (problem) {
    isFailed = place === address;
    // A private chat with somebody who is not there, or a room that was left.
    if (problem.status === 404 && state.open === place) {
      // An address may be left over from a room that one was removed from.
      const words = place.startsWith("room:") ? "You are not in this room, or it is no more." : explain(problem);
      addEventListener("moved", () => notice(words), { once: true });
      go("", true);
    }
  }
}

/** Has a message in sight once its chat is open, with those around it. Gives whether it is there. */
export async function reveal(place, id) {
  const isThere = () => state.histories.get(place)?.list.some((one) => one.id === id);
  if (!isThere()) await jump(place, id);
  if (isThere()) goal = id;
  return isThere();
}

/** Goes to the message that is to be in sight. */
function toGoal(node) {
  goal = 0;
  isAtEnd = false;
  scroll.scrollTop = node.offsetTop - scroll.clientHeight / 3;
  list.querySelectorAll(".message[tabindex='0']").forEach((one) => one.setAttribute("tabindex", -1));
  node.setAttribute("tabindex", 0);
  current = Number(node.dataset.id);
  node.focus({ preventScroll: true });
}

function* entries({ list: messages, since }) {
  let before;
  for (const message of messages) {
    const isNewDay = day(message.at) !== day(before?.at ?? 0);
    const isFirst = mark > since && message.id >= mark && !(before?.id >= mark);
    if (isNewDay) yield [day(message.at), dayName(message.at), (text) => el("li.day", text)];
    if (isFirst) yield ["mark", "New", (text) => el("li.mark", text)];
    const follows = !isNewDay && !isFirst && before.from === message.from && Date.parse(message.at) - Date.parse(before.at) < TOGETHER;
    yield [message.id, { ...message, load: fileState(message.file), follows, isOpen: isChangeable(message), hasHistory: Boolean(message.edited && state.server.edits?.keep_history) }, messageView];
    before = message;
  }
}

function messageView(message) {
  const { id, from, text, at, expires, file, comments, reactions, edited, bot, follows, isOpen, hasHistory } = message;
  const word = comments ? `${comments} comment${comments > 1 ? "s" : ""}` : "Comment";
  const acts = [
    has("comments") && el("button.quiet.comments", { onclick: () => showThread(id) }, word),
    has("reactions") && el("button.quiet", { onclick: (event) => choose(id, event) }, "React"),
    isOpen && el("button.quiet", { onclick: () => dispatchEvent(new CustomEvent("edit", { detail: message })) }, "Edit"),
    isOpen && el("button.quiet", { onclick: () => askRemove(message) }, "Remove"),
    !isMe(from) && el("button.quiet", { onclick: () => showPerson(from, id) }, "About ", name(from)),
  ].filter(Boolean);
  const until = expires && `Until ${moment(expires)}`;
  return el("li", { class: `message${isMe(from) ? " mine" : ""}${follows ? " follows" : ""}${names(text) ? " names" : ""}`, tabindex: id === current ? 0 : -1, "data-id": id, title: until },
    el("div", { class: follows ? "unseen" : "by" }, name(from), bot && el("span.hint", " program"), " ", hour(at)),
    text && textView(text),
    file && fileView(file),
    edited && (hasHistory ? el("button.quiet.edited", { "data-is": "edited", title: moment(edited), onclick: () => showEarlier(message) }, "(edited)") : el("small.hint", { title: moment(edited) }, "(edited)")),
    reactions && has("reactions") && reactionsView(message),
    acts.length > 0 && el("div", { class: `acts${comments ? " has" : ""}` }, acts));
}

/** Removes one's own message, if that is meant. */
function askRemove({ id, text, file }) {
  open("Remove this message?", (body) => {
    body.append(el("blockquote", { dir: "auto" }, text || file?.name),
      el("p.hint", "It is gone for everybody, with its comments and its file."),
      action("Remove", async () => {
        await post("/remove", { message: id });
        close();
      }, { class: "main" }));
  });
}

/** Shows what a message said before it was changed, where the server keeps that. */
function showEarlier({ id, text, edited }) {
  open("What it said", (body) => {
    const list = el("ol.comments", { "aria-label": "Its texts, the oldest first" });
    body.append(list);
    fetchEarlier(id).then((edits) => list.append(...[...edits, { at: edited, text }].map(earlierView)), fail);
  });
}

async function fetchEarlier(id) {
  const all = [];
  for (let page = { more: true }; page.more;) {
    page = await get(`/messages/${id}/edits?after=${all.at(-1)?.id ?? 0}&limit=200`);
    all.push(...page.edits);
  }
  return all;
}

const earlierView = ({ at, text }) => el("li", el("div.by", time(at)), textView(text));

/** Whether a text names the reader. */
const names = (text) => text.toLowerCase().split(/[^\p{L}\p{N}\p{M}_.@-]+/u).includes(`@${state.me.toLowerCase()}`);

/** A text with its web addresses as links. */
export const textView = (text) => el("p.text", { dir: "auto" },
  text.split(/(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]])/).map((part, index) =>
    index % 2 ? el("a", { href: part, rel: "noopener noreferrer", target: "_blank", dir: "ltr" }, part) : part));

/** What is not sent yet in a place. Where one post is held, those after it wait for the same time, which the first one tells. */
export function pending(place) {
  const posts = queue(unsent(place));
  const first = posts.find(({ one }) => isHeld(one))?.one;
  const isOpen = state.link.state === "open";
  return posts.map(({ one, ...about }) => [one.key, { ...one, ...about, away: uploadOf(one)?.away, isOpen, isFirst: one === first }, pendingView]);
}

function pendingView(one) {
  const { body, file, failed, isFirst, isLoading, waits, why, until, isOpen } = one;
  const upload = uploadOf(one);
  const how = failed ? ["Not sent: ", failed]
    : isLoading && upload?.away ? [upload.away]
    : isLoading ? [upload ? "It is sent as soon as its file is uploaded." : "Its file is being uploaded by another tab."]
      : isFirst ? [why, " It is sent by itself in ", countdown(until), "."]
        : waits ? ["It is sent after that one."] : isOpen ? ["Sending…"] : ["Waits for the connection"];
  const mayRetry = failed && !upload?.isFinal && (upload || !file || body.file);
  return el("li", { class: `message mine waiting${failed ? " failed" : ""}` },
    body.text && el("p.text", { dir: "auto" }, body.text),
    file && el("p.hint", name(file.name), `, ${size(file.size)}`),
    isLoading && upload && !upload.away && progressView(upload),
    el("p.how", { role: "status" }, how),
    (failed || waits || isLoading || !isOpen) && el("div.acts.has",
      mayRetry && el("button.quiet", { onclick: () => retry(one) }, "Try again"),
      el("button.quiet", { onclick: () => edit(one) }, "Edit"),
      el("button.quiet", { onclick: () => discard(one) }, failed ? "Discard" : "Cancel")));
}

/** Takes a post that is not sent back into the field it came from. */
function edit(one) {
  const { text, files } = draft(one.place);
  keepDraft(one.place, { text: [one.body.text, text].filter(Boolean).join("\n"), files: one.file ? [one.file, ...files] : files });
  const upload = release(one);
  dispatchEvent(new CustomEvent("redraft", { detail: { place: one.place, upload } }));
}

/** The ways to the mark and to the end, where they are out of sight. */
function look() {
  const { unread } = chatOf(address);
  const line = entryOf("mark");
  const isAbove = whereUnread(address) === "above";
  $("up").hidden = line ? line.offsetTop + line.offsetHeight > scroll.scrollTop : !isAbove;
  say($("up"), isAbove ? `↑ ${unread} new` : "↑ Where the new began");
  $("pass").hidden = !isAbove;
  $("down").hidden = isAtEnd;
  say($("down"), unread && !isAbove ? `↓ ${unread} new` : "↓ To the end");
}

function toMark() {
  const line = entryOf("mark");
  if (!line) return jump(address, chatOf(address).read);
  scroll.scrollTop = line.offsetTop - scroll.clientHeight / 4;
  scrolled();
}

export function toEnd() {
  goal = state.histories.get(address)?.later ? "end" : 0;
  if (goal) return jump(address, "newest");
  isAtEnd = true;
  scroll.scrollTop = scroll.scrollHeight;
  changed();
}

const isLooking = () => state.open === address && document.visibilityState === "visible" && document.hasFocus();

/** Marks as read what was looked at, and no more: up to the last message that is in sight whole, where nothing unread before it is not held. */
function read() {
  const { unread, top } = chatOf(address);
  if (!isLooking() || !unread || !state.histories.has(address) || whereUnread(address)) return;
  const bottom = scroll.scrollTop + scroll.clientHeight + 1;
  const last = () => inSight().findLast(({ offsetTop, offsetHeight }) => offsetTop + offsetHeight <= bottom);
  const upto = isAtEnd ? top : Number(last()?.dataset.id ?? 0);
  if (upto < (mark || top) || upto <= (told.get(address) ?? 0)) return;
  const before = told.get(address);
  const place = address;
  told.set(place, upto);
  post("/read", { chat: place, upto }).catch(() => told.set(place, before));
}

/** Tries once more what could not be fetched. */
export function again() {
  isFailed = false;
  told.clear();
}

const toBottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;

let resting;
function scrolled() {
  isAtEnd = toBottom() < 40 && !state.histories.get(address)?.later;
  clearTimeout(resting);
  resting = setTimeout(read, REST);
  look();
}

scroll.addEventListener("scroll", () => {
  if (!address || state.open !== address || !state.ready) return;
  scrolled();
  fetchNear();
}, { passive: true });
let edge = 0;
/** What stays in its place when the chat becomes wider or narrower: what has the focus, or the first in sight. */
let anchor = null;
addEventListener("reflow", () => {
  const node = document.activeElement.closest("#messages .message") ?? inSight()[0];
  anchor = node && [node, node.getBoundingClientRect().top];
});
/** A line that comes above the messages, or goes, moves none of them. */
new ResizeObserver(() => {
  const [node, top] = anchor ?? [];
  anchor = null;
  const before = edge;
  edge = scroll.getBoundingClientRect().top;
  if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
  else move(node?.isConnected ? node.getBoundingClientRect().top - top : edge - before);
}).observe(scroll);
$("skip").onclick = () => scroll.focus();
$("down").onclick = () => {
  toEnd();
  scroll.focus();
};
$("up").onclick = () => {
  toMark();
  scroll.focus();
};
$("pass").onclick = () => {
  post("/read", { chat: address }).catch((problem) => notice(explain(problem)));
  scroll.focus();
};
addEventListener("focus", changed);
addEventListener("sheetclosed", changed);
document.addEventListener("visibilitychange", changed);

/** Up and down go from message to message; what can be done with one is a Tab away. */
scroll.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...list.querySelectorAll(".message")];
  const at = all.indexOf(document.activeElement.closest(".message"));
  const to = at < 0 ? inSight().at(-1) : all[at + step];
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
  // What comes while nobody looks at the end is new to who comes back.
  if (where === address && chatOf(where).unread === 1 && !(isLooking() && isAtEnd)) mark = message.id;
});

onChange(() => address && state.open === address && state.ready && render());
