/**
 * Files: pictures are shown through addresses of blobs, everything else is saved. Nothing is ever
 * opened from the server's own origin.
 */
import { $, el, name as called, size } from "./dom.js";
import { download } from "./net.js";
import { notice } from "./store.js";
import { action, close, open } from "./sheet.js";
import { explain } from "./words.js";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];
/** So many pictures stay in memory. */
const KEPT = 60;
const kept = new Map();

export const isPicture = ({ type }) => PICTURES.includes(type);

/** The address of a picture's blob. */
async function picture({ url, type }) {
  if (!kept.has(url)) {
    kept.set(url, download(url, type).then((blob) => URL.createObjectURL(blob)));
    kept.get(url).catch(() => kept.delete(url));
    if (kept.size > KEPT) {
      const [oldest, address] = kept.entries().next().value;
      kept.delete(oldest);
      address.then(URL.revokeObjectURL, () => {});
    }
  }
  return kept.get(url);
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    picture(target.file).then((address) => (target.src = address), () => (target.alt += " (it can't be shown)"));
  }
}, { root: $("scroll"), rootMargin: "400px" });

/** How a message shows its file. */
export function fileView(file) {
  if (!file.name) return el("p.hint", "a file");
  if (!isPicture(file)) {
    return el("button.file", { onclick: () => save(file).catch(fail) }, called(file.name), el("small", size(file.size)));
  }
  const image = el("img", { alt: file.name });
  image.file = file;
  seen.observe(image);
  return el("button.picture", { "aria-label": `Picture ${file.name}, ${size(file.size)}`, onclick: () => look(file) }, image);
}

const fail = (problem) => notice(explain(problem));

function look(file) {
  open(file.name, (body) => {
    const image = el("img.whole", { alt: file.name });
    picture(file).then((address) => (image.src = address), fail);
    body.append(image, el("p.hint", called(file.name), `, ${size(file.size)}`), action("Save", () => save(file)), action("Close", close));
  });
}

async function save({ url, name }) {
  const address = URL.createObjectURL(await download(url));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
