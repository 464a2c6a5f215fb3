/**
 * What was typed and is not sent yet. It lies in the browser's storage, one entry a draft and one a post, so
 * that neither a reload nor an outage loses a letter. Each post has its idempotency key, so that it
 * happens once however often it is tried, by whichever tab.
 */
import { post, unique } from "./net.js";
import { changed, state } from "./store.js";

const name = (kind, key) => `veche.${kind}.${state.me}.${key}`;

/** This tab's own comes first: another's may be written in the same place, and neither takes the other's. */
const stores = [sessionStorage, localStorage];

/** The text and the uploaded files of a place: a chat's address, or `#ID` for a message's comments. */
export function draft(place) {
  const kept = stores.map((store) => store.getItem(name("draft", place)));
  return JSON.parse(kept[0] ?? kept[1]) ?? { text: "", files: [] };
}

export function keepDraft(place, { text, files }) {
  const key = name("draft", place);
  const ends = !text && !files.length && stores.some((store) => store.getItem(key));
  for (const store of stores) {
    if (text || files.length) store.setItem(key, JSON.stringify({ text, files }));
    else store.removeItem(key);
  }
  if (ends) changed();
}

/** Everything that waits, in the order in which it was written. */
export function waiting(place) {
  const prefix = name("post", "");
  const names = Object.keys(localStorage).filter((one) => one.startsWith(prefix));
  const posts = names.map((one) => JSON.parse(localStorage.getItem(one))).filter(Boolean);
  const wanted = place ? posts.filter((one) => one.place === place) : posts;
  return wanted.sort((one, other) => one.order - other.order);
}

const keep = (one) => localStorage.setItem(name("post", one.key), JSON.stringify(one));
let last = 0;

/** Queues a post: `body` goes to `path`. */
export function send(place, path, body) {
  last = Math.max(Date.now(), last + 1);
  keep({ key: unique(), order: last, place, path, body });
  changed();
  flush();
}

export function retry(one) {
  keep({ ...one, failed: null });
  changed();
  flush();
}

export function discard(one) {
  localStorage.removeItem(name("post", one.key));
  changed();
}

export const sent = new EventTarget();
let busy = false;
let again;

/** Sends what waits, one after the other; stops where the server is away or too busy, to try again. */
export async function flush() {
  if (busy || state.link.state !== "open") return;
  busy = true;
  clearTimeout(again);
  const work = () => drain().catch((problem) => {
    again = setTimeout(flush, 1000 * Math.max(2, problem.wait ?? 0));
  });
  // Two tabs that send the same do no harm, but take turns where they can.
  await (navigator.locks ? navigator.locks.request(name("send", ""), work) : work());
  busy = false;
  // What was queued at the very end.
  if (next() && !again) flush();
}

const next = () => waiting().find((one) => !one.failed);

async function drain() {
  again = null;
  for (let one = next(); one; one = next()) {
    try {
      const answer = await post(one.path, one.body, one.key);
      discard(one);
      sent.dispatchEvent(new CustomEvent("sent", { detail: { one, answer } }));
    } catch (problem) {
      if (problem.code === "gone") discard(one);
      else if (problem.passing || problem.code === "unauthorized") throw problem;
      else {
        keep({ ...one, failed: problem.message });
        changed();
      }
    }
  }
}

/** Forgets all of it, at signing out. */
export function wipe() {
  const mine = ["draft", "post"].map((kind) => name(kind, ""));
  for (const store of stores) {
    const names = Object.keys(store).filter((one) => mine.some((prefix) => one.startsWith(prefix)));
    names.forEach((one) => store.removeItem(one));
  }
}
