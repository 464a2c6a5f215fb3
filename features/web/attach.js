/**
 * Files: pictures are shown through addresses of blobs, everything else is saved. Nothing is ever
 * opened from the server's own origin.
 */
import { $, el, keyed, name as called, size } from "./dom.js";
import { load, loadState, loadView } from "./downloads.js";
import { action, close, open } from "./sheet.js";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];
/** So many pictures stay in memory. */
const KEPT = 60;
const kept = new Map();

export const isPicture = ({ type }) => PICTURES.includes(type);

/** The address of a picture's blob, or null where it did not come. */
function picture(file) {
  const { url, type } = file;
  if (!kept.has(url)) {
    const address = load(file, type).then((blob) => blob && URL.createObjectURL(blob));
    kept.set(url, address);
    address.then((one) => one ?? kept.delete(url));
    if (kept.size > KEPT) {
      const [oldest, address] = kept.entries().next().value;
      kept.delete(oldest);
      address.then((one) => one && URL.revokeObjectURL(one));
    }
  }
  return kept.get(url);
}

/** A picture, in whose place it is said where what came is none. */
const imageOf = (kind, name) => el(kind, {
  alt: name,
  onerror: ({ target }) => {
    // What stands on its button names it then.
    target.parentElement.removeAttribute("aria-label");
    target.replaceWith(el("p.hint", "It can't be shown: ", called(name)));
  },
});

/** Shows a picture in its frame once it is there. */
const fill = (image, file) => picture(file).then((address) => address && (image.src = address));

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    fill(target, target.file);
  }
}, { root: $("scroll"), rootMargin: "400px" });

/** What the view of a message's file depends on. Pictures come by themselves, and only their failures show. */
export const fileState = (file) => file?.name && (isPicture(file) ? typeof loadState(file) === "string" : loadState(file));

/** How a message shows its file. */
export function fileView(file) {
  if (!file.name) return el("p.hint", "a file");
  if (!isPicture(file)) {
    return [el("button.file", { onclick: () => save(file) }, called(file.name), el("small", size(file.size))), loadView(file, () => save(file))];
  }
  const image = imageOf("img", file.name);
  image.file = file;
  // What has failed is tried again when that is asked for.
  if (!fileState(file)) seen.observe(image);
  return [el("button.picture", { "aria-label": `Picture ${file.name}, ${size(file.size)}`, onclick: () => look(file) }, image),
    fileState(file) && loadView(file, () => fill(image, file))];
}

function look(file) {
  open(file.name, (body) => {
    const image = imageOf("img.whole", file.name);
    const state = el("div");
    const show = () => fill(image, file);
    body.append(image, state, el("p.hint", called(file.name), `, ${size(file.size)}`), action("Save", () => save(file)), action("Close", close));
    show();
    return () => keyed(state, loadState(file) ? [["load", loadState(file), () => loadView(file, show)]] : []);
  });
}

/** Saves a file; a picture that is here already need not come again. */
async function save(file) {
  const { url, name } = file;
  const blob = !kept.has(url) && (await load(file));
  const address = kept.has(url) ? await kept.get(url) : blob && URL.createObjectURL(blob);
  if (!address) return;
  el("a", { href: address, download: name }).click();
  if (blob) setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
