/** Writing: the text, files by choosing, dropping and pasting, and sending now or later. */
import { $, countdown, el, keyed, moment, name, say, size } from "./dom.js";
import { upload } from "./net.js";
import { allowance, bannedUntil, has, onChange, state } from "./store.js";
import { send } from "./outbox.js";
import { explain } from "./words.js";
import { chooseTime } from "./later.js";
import { toEnd } from "./messages.js";
import { writer } from "./writer.js";

const text = $("text");
let address;
let number = 0;
/** Whether it is to be sent as soon as the files are up. */
let isPressed = false;
/** By chat, `{key, file, part, done, failed, stop}` each; `done` is the upload as the server has it. */
const attached = new Map();
const here = () => attached.get(address) ?? attached.set(address, []).get(address);

const field = writer(text, () => address);
field.withFiles(() => here().map(({ done }) => done).filter(Boolean));

/** Shows the draft of a chat. */
export function show(next) {
  address = next;
  isPressed = false;
  const files = field.show();
  const isNew = ({ id }) => !here().some(({ done }) => done?.id === id);
  here().push(...files.filter(isNew).map((done) => ({ key: (number += 1), file: done, done })));
  render();
}

function attach(files) {
  if (!has("files") || !address) return;
  for (const file of files) {
    const one = { key: (number += 1), file };
    here().push(one);
    start(one);
  }
}

async function start(one) {
  const place = address;
  const control = new AbortController();
  Object.assign(one, { failed: null, part: 0, stop: () => control.abort() });
  render();
  const progress = (part) => {
    one.part = part;
    const bar = document.querySelector(`#files [data-key="${one.key}"] progress`);
    if (bar) bar.value = part;
  };
  try {
    one.done = await upload(one.file, progress, control.signal);
    if (place === address) {
      field.keep();
      if (isPressed) submit();
    }
  } catch (problem) {
    one.failed = explain(problem);
    isPressed = false;
  }
  render();
}

function drop(one) {
  one.stop?.();
  isPressed = false;
  attached.set(address, here().filter((other) => other !== one));
  field.keep();
  render();
}

function fileView(one) {
  const { file: { name: called, size: bytes }, done, failed, part } = one;
  return el("li", { class: failed ? "failed" : null },
    el("span.name", called ? name(called) : "picture"), el("small", failed ?? size(bytes)),
    !done && !failed && el("progress", { value: part, "aria-label": `Uploading ${called}` }),
    failed && el("button", { type: "button", class: "quiet", onclick: () => start(one) }, "Try again"),
    el("button", { type: "button", class: "quiet", "aria-label": `Remove ${called}`, onclick: () => drop(one) }, "Remove"));
}

function render() {
  keyed($("files"), here().map((one) => [one.key, [!one.done, one.failed], () => fileView(one)]));
  say($("told"), hint());
  $("attach").hidden = !has("files");
  $("when").hidden = $("later").hidden = !has("schedule");
}

/** What stands above the field: why one may not post, or soon may not. */
function hint() {
  const ban = bannedUntil();
  if (ban) return [`You may not post until ${moment(ban)}, for `, countdown(Date.parse(ban)), ". You can read."];
  const limit = allowance();
  if (address === "common" && limit?.left <= 5 && limit.until) {
    return [`${limit.left || "No"} more message${limit.left === 1 ? "" : "s"} to everyone until ${moment(limit.until)}.`];
  }
  if (here().some(({ failed }) => failed)) return ["A file was not uploaded: try again, or remove it."];
  return isPressed ? ["It is sent as soon as the files are uploaded."] : [];
}

/** What is to be posted, with its file: the text with the first one, each further one by itself. */
function posts() {
  const files = here().map(({ done }) => done);
  const words = text.value.trim() && { text: text.value };
  if (!files.length) return words ? [[words]] : [];
  return files.map((file, index) => [{ ...(index === 0 && words), file: file.id }, file]);
}

/** Sends, or waits for uploads that are under way. */
function submit() {
  if (here().some(({ failed }) => failed)) return;
  isPressed = here().some(({ done }) => !done);
  render();
  if (isPressed) return;
  for (const [post, file] of posts()) send(address, "/send", { to: address, ...post }, file);
  clear();
  toEnd();
}

function clear() {
  attached.delete(address);
  field.clear();
  render();
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  submit();
};
$("when").onclick = () => {
  const [first] = here().every(({ done }) => done) ? posts() : [];
  if (first) chooseTime(address, first[0], clear);
  else text.focus();
};
$("attach").onclick = () => $("pick").click();
$("pick").onchange = () => {
  attach($("pick").files);
  $("pick").value = "";
};
text.addEventListener("paste", (event) => {
  const { files } = event.clipboardData;
  if (!files.length) return;
  event.preventDefault();
  attach(files);
});
const chat = $("chat");
for (const kind of ["dragover", "drop", "dragleave"]) {
  chat.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    chat.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") attach(event.dataTransfer.files);
  });
}
addEventListener("redraft", () => address && show(address));
addEventListener("limit", ({ detail }) => {
  const [, left, seconds] = /r=(\d+);t=(\d+)/.exec(detail) ?? [];
  const limit = state.user.rate_limit;
  if (limit && left) Object.assign(limit, { left: Number(left), until: new Date(Date.now() + seconds * 1000).toISOString() });
});
onChange(() => address && state.ready && render());
