/**
 * What was typed and is not sent yet. It lies in the browser's storage, one entry a draft and one a post, so
 * that neither a reload nor an outage loses a letter. Each post has its idempotency key, so that it
 * happens once however often it is tried, by whichever tab.
 */
import { post, unique } from "./net.js";
import { changed, state } from "./store.js";
import { start } from "./uploads.js";
import { explain, why } from "./words.js";

/** The name of an entry of this user's. */
export const entry = (kind, key) => `veche.${kind}.${state.me}.${key}`;

/** This tab's own comes first: another's may be written in the same place, and neither takes the other's. */
const stores = () => [sessionStorage, localStorage];

/**
 * The text and the files of a place: a chat's address, `#ID` for a message's comments, or `=ID` for its text. A file without
 * `id` was not uploaded, which only the tab that had it knows.
 */
export function draft(place) {
  const kept = stores().map((store) => store.getItem(entry("draft", place)));
  return JSON.parse(kept[0] ?? kept[1]) ?? { text: "", files: [] };
}

export function keepDraft(place, { text, files }) {
  const key = entry("draft", place);
  const ends = !text && !files.length && stores().some((store) => store.getItem(key));
  for (const store of stores()) {
    const some = store === sessionStorage ? files : files.filter(({ id }) => id);
    if (text || some.length) store.setItem(key, JSON.stringify({ text, files: some }));
    else store.removeItem(key);
  }
  if (ends) changed();
}

/** Adds words to the draft of a place, below or above what is there. */
export function addToDraft(place, words, isAbove = false) {
  const { text, files } = draft(place);
  const all = isAbove ? [words, text] : [text, words];
  keepDraft(place, { text: all.filter(Boolean).join("\n"), files });
}

/** What was written for places that are gone becomes a draft in another chat. Gives whether there was anything. */
export function rescue(places, to) {
  const posts = waiting().filter(({ place }) => places.includes(place));
  const drafts = places.map(draft);
  const text = [...posts.map(({ body }) => body.text), ...drafts.map((one) => one.text)].filter(Boolean).join("\n");
  const files = [...posts.map(({ file }) => file), ...drafts.flatMap((one) => one.files)].filter((file) => file?.id);
  places.forEach(dropDraft);
  posts.forEach(discard);
  if (!text && !files.length) return false;
  const before = draft(to);
  // Another tab may have done so already.
  const all = before.text.includes(text) ? before.text : [before.text, text].filter(Boolean).join("\n");
  keepDraft(to, { text: all, files: [...before.files, ...files.filter(({ id }) => !before.files.some((one) => one.id === id))] });
  dispatchEvent(new Event("redraft"));
  return true;
}

/** The places of all that is not sent yet. */
export function places() {
  const prefix = entry("draft", "");
  const names = stores().flatMap(Object.keys).filter((one) => one.startsWith(prefix));
  return new Set([...names.map((one) => one.slice(prefix.length)), ...waiting().map(({ place }) => place)]);
}

export const dropDraft = (place) => keepDraft(place, { text: "", files: [] });

/** The own message that is being changed in a chat, `{id, text}`, or null; its new text is the draft of `=ID`. */
export const editing = (place) => JSON.parse(sessionStorage.getItem(entry("edit", place)));

export function keepEditing(place, message) {
  if (message) sessionStorage.setItem(entry("edit", place), JSON.stringify(message));
  else sessionStorage.removeItem(entry("edit", place));
}

/** By key, the uploads that posts of this tab wait for. */
const uploads = new Map();
export const uploadOf = ({ key }) => uploads.get(key);

/** The name of this tab, which a reload keeps; it has one once a post waits for a file. */
const tab = () => sessionStorage.getItem(entry("tab", ""));

/** Whether a post waits for its file to go up, from this tab or another. */
const lacksFile = ({ file, body }) => Boolean(file && !body.file);
/** Whether the file of a post is known no more: this tab was loaded anew, or left. */
const isLost = (one) => lacksFile(one) && one.tab === tab() && !uploads.has(one.key);
const LOST = { failed: "its file was still on its way when the page was left. Edit it to attach the file again." };

/** Whether any post waits for a file that this tab uploads. */
export const isUploading = () => [...uploads.values()].some(({ failed }) => !failed);

const read = (key) => JSON.parse(localStorage.getItem(entry("post", key)));

/** Everything that waits, in the order in which it was written. */
export function waiting(place) {
  const prefix = entry("post", "");
  const keys = Object.keys(localStorage).filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length));
  const posts = keys.map(read).filter(Boolean).map((one) => (isLost(one) ? { ...one, ...LOST } : one));
  const wanted = place ? posts.filter((one) => one.place === place) : posts;
  return wanted.sort((one, other) => one.order - other.order);
}

/** Whether a post waits for the time that the server named. */
export const isHeld = ({ failed, until }) => !failed && until > Date.now();

/** The keys of posts that came as events before their answers did: they stand among the others already. */
const arrived = new Set();
addEventListener("own", ({ detail: { place, text, file } }) => {
  const isIt = (one) => !one.failed && !isHeld(one) && !lacksFile(one) && !arrived.has(one.key) && (one.body.text ?? "") === text && one.body.file === file?.id;
  const one = waiting(place).find(isIt);
  if (one) arrived.add(one.key);
});

/** What is to be shown as not yet sent. */
export const unsent = (place) => waiting(place).filter((one) => one.failed || isHeld(one) || !arrived.has(one.key));

const keep = (one) => localStorage.setItem(entry("post", one.key), JSON.stringify(one));
let last = 0;

/** Queues a post: `body` goes to `path`. Its file, if any, is kept for showing, and may be still on its way. */
export function send(place, path, body, upload) {
  last = Math.max(Date.now(), last + 1);
  const key = unique();
  const one = { key, order: last, place, path, body, file: upload?.done };
  if (upload && !upload.done) {
    const { name, size } = upload.file;
    if (!tab()) sessionStorage.setItem(entry("tab", ""), unique());
    Object.assign(one, { file: { name, size }, tab: tab() });
    uploads.set(key, upload);
    upload.settled = () => settle(key, upload);
  }
  keep(one);
  proceed();
}

/** The file of a post has gone up, or has not. */
function settle(key, { done, failed }) {
  const one = read(key);
  if (done) uploads.delete(key);
  // It may have been taken back by another tab.
  if (one) keep(done ? { ...one, failed: null, file: done, body: { ...one.body, file: done.id } } : { ...one, failed });
  proceed();
}

export function retry(one) {
  keep({ ...one, failed: null });
  if (uploads.has(one.key)) start(uploads.get(one.key));
  proceed();
}

/** Takes a post back, and gives the upload that it waits for, which goes on. */
export function release(one) {
  const upload = uploads.get(one.key);
  uploads.delete(one.key);
  localStorage.removeItem(entry("post", one.key));
  arrived.delete(one.key);
  proceed();
  return upload;
}

export const discard = (one) => release(one)?.stop();

// What this tab was uploading is lost with it, and the others say so.
addEventListener("pagehide", () => {
  for (const key of uploads.keys()) {
    const one = read(key);
    if (one && !one.failed) keep({ ...one, ...LOST });
  }
});

export const sent = new EventTarget();
/** The longest that a browser's timer takes, in milliseconds. */
export const LONGEST = 2 ** 31 - 1;
let busy = false;
let timer;

/** Sends what waits, one after the other; stops where the server is away or too busy, to try again. */
export async function flush() {
  if (busy || state.link.state !== "open") return;
  busy = true;
  clearTimeout(timer);
  let pause = 0;
  const work = () => drain().catch((problem) => (pause = 1000 * Math.max(2, problem.wait ?? 0)));
  // Two tabs that send the same do no harm, but take turns where they can.
  await (navigator.locks ? navigator.locks.request(entry("send", ""), work) : work());
  busy = false;
  const times = pause ? [pause] : waiting().filter(isHeld).map(({ until }) => until - Date.now());
  // What was queued at the very end.
  if (!pause && next()) flush();
  else if (times.length) timer = setTimeout(proceed, Math.min(...times, LONGEST));
}

function proceed() {
  changed();
  flush();
}

/**
 * What posts wait for, besides the connection. In each place the order is kept: one that is held holds those after it, and
 * one whose file is on its way holds those with files. A text by itself waits for no file.
 */
export function queue(posts) {
  const held = new Set();
  const loading = new Set();
  return posts.map((one) => {
    if (isHeld(one)) held.add(one.place);
    const isBehind = Boolean(one.file) && loading.has(one.place);
    const isLoading = lacksFile(one) && !one.failed;
    if (isLoading) loading.add(one.place);
    return { one, isLoading, waits: held.has(one.place) || isBehind };
  });
}

/** The next that may be sent. */
const next = () => queue(waiting()).find(({ one, isLoading, waits }) => !one.failed && !isLoading && !waits)?.one;

async function drain() {
  for (let one = next(); one; one = next()) {
    try {
      const answer = await post(one.path, one.body, one.key);
      discard(one);
      sent.dispatchEvent(new CustomEvent("sent", { detail: { one, answer } }));
    } catch (problem) {
      // It may have been taken back meanwhile, or its chat may be gone.
      if (problem.code === "gone" || !read(one.key)) discard(one);
      else if (problem.passing || problem.code === "unauthorized") throw problem;
      else {
        const until = problem.wait && Date.now() + 1000 * problem.wait;
        keep({ ...one, ...(until ? { until, why: why(problem) } : { failed: explain(problem) }) });
        changed();
      }
    }
  }
}

/** Forgets all of it, at signing out. */
export function wipe() {
  const mine = ["draft", "edit", "post", "tab", "links", "put"].map((kind) => entry(kind, ""));
  for (const store of stores()) {
    const names = Object.keys(store).filter((one) => mine.some((prefix) => one.startsWith(prefix)));
    names.forEach((one) => store.removeItem(one));
  }
}
