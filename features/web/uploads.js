/**
 * Files on their way to the server, `{key, file, part, done, failed, away, isFinal, isLost, stop, settled}` each:
 * `done` is the upload as the server has it, `away` says why it waits, and of one that a reload broke off there is only its name. Each belongs to a
 * draft or to a post that waits for it, which is told by `settled` when it has gone up, or has not.
 */
import { el } from "./dom.js";
import { upload } from "./net.js";
import { onChange, state } from "./store.js";
import { explain, tooLarge } from "./words.js";

/** So long a file waits before it is tried again, in milliseconds, where the server can't take it now. */
const PAUSE = 2000;
/** Those that go on once the server is there. */
const away = new Set();

let number = 0;
export const made = (about) => ({ key: (number += 1), ...about });

/** Uploads it, for the first time or once more. */
export async function start(one) {
  const control = new AbortController();
  Object.assign(one, { failed: null, away: null, part: 0, stop: () => control.abort() });
  const { max_size: max } = state.server.files ?? {};
  if (one.file.size > max) return refuse(one, max);
  try {
    one.done = await upload(one.file, (part) => showPart(one, part), control.signal);
  } catch (problem) {
    if (problem.code === "too_large" && problem.max) return refuse(one, problem.max);
    if (problem.passing) later(one, problem);
    else one.failed = explain(problem);
  }
  one.settled();
}

/** It did not go up, and does so by itself: at once when the server is back, but not at once again where it was there. */
function later(one, problem) {
  const pause = setTimeout(() => {
    away.add(one);
    goOn();
  }, Math.max(PAUSE, 1000 * problem.wait));
  one.away = problem.status ? explain(problem) : "Waits for the connection";
  one.stop = () => {
    clearTimeout(pause);
    away.delete(one);
  };
}

function goOn() {
  if (state.link.state !== "open") return;
  for (const one of away) {
    away.delete(one);
    start(one);
    one.settled();
  }
}

onChange(goOn);

/** A file that is too large is so at every try. */
function refuse(one, max) {
  Object.assign(one, { failed: tooLarge(one.file.size, max), isFinal: true });
  one.settled();
}

/**
 * How far a file is on its way. Of one that goes up the browser counts what it has handed on, which may be all of it long
 * before the server has it: from then on no part is shown, until the answer is there.
 */
export function progressView({ key, file, part, away: why, doing = "Uploading" }) {
  if (why) return el("small", why);
  const isHandedOn = part >= 1;
  return el("span.progress", { "data-progress": key }, el("progress", { value: isHandedOn ? null : part, "aria-label": `${doing} ${file.name}` }),
    el("small", isHandedOn ? "sending\u2026" : `${Math.floor(100 * part)} %`));
}

/** It has come further. */
export function showPart(one, part) {
  one.part = part;
  document.querySelectorAll(`[data-progress="${one.key}"]`).forEach((node) => node.replaceWith(progressView(one)));
}
