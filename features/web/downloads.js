/** Files on their way from the server, by address, `{key, file, part, failed, stop}` each: as those that go up, in `uploads.js`. */
import { el } from "./dom.js";
import { download } from "./net.js";
import { changed } from "./store.js";
import { explain } from "./words.js";
import { progressView, showPart } from "./uploads.js";

const loads = new Map();

/** How a file stands that was asked for, as what a view depends on: nothing once it is here. */
export const loadState = ({ url }) => loads.has(url) && (loads.get(url).failed ?? true);

/** The bytes of a file, or null where they were stopped or did not come, which `loadView` shows. Who asks twice gets them once. */
export async function load(file, type = "application/octet-stream") {
  const { url, size } = file;
  if (loadState(file) === true) return null;
  const control = new AbortController();
  const one = { key: url, file, part: 0, doing: "Downloading", stop: () => control.abort() };
  loads.set(url, one);
  changed();
  try {
    // All of it is here only with the answer's end.
    const blob = await download(url, type, (bytes) => showPart(one, Math.min(0.99, bytes / size)), control.signal);
    loads.delete(url);
    return blob;
  } catch (problem) {
    if (control.signal.aborted) loads.delete(url);
    else one.failed = explain(problem);
    return null;
  } finally {
    changed();
  }
}

/** How far it is and what stops it, or why it is not here and what asks again. */
export function loadView(file, again) {
  const one = loads.get(file.url);
  if (!one) return null;
  if (one.failed) return el("p.load", el("span.error", { role: "alert" }, one.failed), el("button.quiet", { type: "button", "data-is": "again", onclick: again }, "Try again"));
  return el("p.load", progressView(one), el("button.quiet", { type: "button", "data-is": "stop", onclick: one.stop }, "Cancel"));
}
