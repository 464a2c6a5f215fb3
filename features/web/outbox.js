/**
 * What was typed and is not sent yet. It lies in the browser's storage, one entry a draft and one a post, so
 * that neither a reload nor an outage loses a letter. Each post has its idempotency key, so that it
 * happens once however often it is tried, by whichever tab.
 */
import { post, unique } from "./net.js";
import { changed, state } from "./store.js";
import { explain, why } from "./words.js";

/** The name of an entry of this user's. */
export const entry = (kind, key) => `veche.${kind}.${state.me}.${key}`;

/** This tab's own comes first: another's may be written in the same place, and neither takes the other's. */
const stores = [sessionStorage, localStorage];

/**
 * The text and the files of a place: a chat's address, or `#ID` for a message's comments. A file without
 * `id` was not uploaded, which only the tab that had it knows.
 */
export function draft(place) {
  const kept = stores.map((store) => store.getItem(entry("draft", place)));
  return JSON.parse(kept[0] ?? kept[1]) ?? { text: "", files: [] };
}

export function keepDraft(place, { text, files }) {
  const key = entry("draft", place);
  const ends = !text && !files.length && stores.some((store) => store.getItem(key));
  for (const store of stores) {
    const some = store === sessionStorage ? files : files.filter(({ id }) => id);
    if (text || some.length) store.setItem(key, JSON.stringify({ text, files: some }));
    else store.removeItem(key);
  }
  if (ends) changed();
}

/** Everything that waits, in the order in which it was written. */
export function waiting(place) {
  const prefix = entry("post", "");
  const names = Object.keys(localStorage).filter((one) => one.startsWith(prefix));
  const posts = names.map((one) => JSON.parse(localStorage.getItem(one))).filter(Boolean);
  const wanted = place ? posts.filter((one) => one.place === place) : posts;
  return wanted.sort((one, other) => one.order - other.order);
}

/** Whether a post waits for the time that the server named. */
export const isHeld = ({ failed, until }) => !failed && until > Date.now();

/** The keys of posts that came as events before their answers did: they stand among the others already. */
const arrived = new Set();
addEventListener("own", ({ detail: { place, text, file } }) => {
  const isIt = (one) => !one.failed && !isHeld(one) && !arrived.has(one.key) && (one.body.text ?? "") === text && one.body.file === file?.id;
  const one = waiting(place).find(isIt);
  if (one) arrived.add(one.key);
});

/** What is to be shown as not yet sent. */
export const unsent = (place) => waiting(place).filter((one) => one.failed || isHeld(one) || !arrived.has(one.key));

const keep = (one) => localStorage.setItem(entry("post", one.key), JSON.stringify(one));
let last = 0;

/** Queues a post: `body` goes to `path`. The file in it, if any, is kept for showing. */
export function send(place, path, body, file) {
  last = Math.max(Date.now(), last + 1);
  keep({ key: unique(), order: last, place, path, body, file });
  proceed();
}

export function retry(one) {
  keep({ ...one, failed: null });
  proceed();
}

export function discard(one) {
  localStorage.removeItem(entry("post", one.key));
  arrived.delete(one.key);
  proceed();
}

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

/** The next that may be sent. In each place the order is kept: one that is held holds those after it. */
function next() {
  const held = new Set();
  return waiting().find((one) => {
    if (isHeld(one)) held.add(one.place);
    return !one.failed && !held.has(one.place);
  });
}

async function drain() {
  for (let one = next(); one; one = next()) {
    try {
      const answer = await post(one.path, one.body, one.key);
      discard(one);
      sent.dispatchEvent(new CustomEvent("sent", { detail: { one, answer } }));
    } catch (problem) {
      if (problem.code === "gone") discard(one);
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
  const mine = ["draft", "post", "links"].map((kind) => entry(kind, ""));
  for (const store of stores) {
    const names = Object.keys(store).filter((one) => mine.some((prefix) => one.startsWith(prefix)));
    names.forEach((one) => store.removeItem(one));
  }
}
