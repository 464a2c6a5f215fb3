/** Writing: the text, files by choosing, dropping and pasting, and sending now or later. */
import { $, countdown, el, keyed, moment, name, period, say, size } from "./dom.js";
import { post, session } from "./net.js";
import { allowance, bannedUntil, chatOf, has, isBot, isChangeable, isGone, isMe, notice, onChange, ownLast, state } from "./store.js";
import { addToDraft, draft, dropDraft, editing, isUploading, keepDraft, keepEditing, send } from "./outbox.js";
import { explain, lengthLine } from "./words.js";
import { chooseTime } from "./later.js";
import { toEnd } from "./messages.js";
import { tellTyping } from "./typing.js";
import { made, progressView, start } from "./uploads.js";
import { writer } from "./writer.js";

const text = $("text");
let address;
/** The own message whose text is being changed, `{id, text}` as it was. */
let edited = null;
/** The files of the draft of each chat. */
const attached = new Map();
const filesOf = (place) => attached.get(place) ?? attached.set(place, []).get(place);
const here = () => filesOf(address);

/** Where the new text of a message is kept. */
const placeOf = ({ id }) => `=${id}`;
const field = writer(text, () => (edited ? placeOf(edited) : address));
field.withFiles(() => (edited ? [] : toKeep(address)));

/** What a draft keeps of its files; of what is not uploaded, what it was. */
const toKeep = (place) => filesOf(place).filter(({ isFinal }) => !isFinal)
  .map(({ done, file: { name, size } }) => done ?? { name, size });
const keepFiles = (place) =>
  (place === address && !edited ? field.keep() : keepDraft(place, { ...draft(place), files: toKeep(place) }));

/** Shows the draft of a chat, or the message that is being changed there. */
export function show(next) {
  address = next;
  edited = editing(next);
  field.show();
  offer([]);
  const { files } = draft(next);
  const isNew = ({ id, name }) => !here().some(({ done, file }) => (id ? done?.id === id : file.name === name));
  const again = (file) => (file.id ? { done: file } : { isLost: true, failed: "Not uploaded: the page was reloaded." });
  here().push(...files.filter(isNew).map((file) => made({ file, ...again(file) })));
  render();
}

function attach(files) {
  if (!has("files") || !address) return;
  for (const file of files) {
    const one = made({ file });
    attached.set(address, here().filter(({ isLost, file: { name } }) => !isLost || name !== file.name));
    take(address, one);
    begin(one);
  }
}

/** An upload belongs to the draft of a place. */
function take(place, one) {
  filesOf(place).push(one);
  one.settled = () => {
    keepFiles(place);
    render();
  };
}

/** Uploads what is attached, for the first time or once more. */
function begin(one) {
  start(one);
  one.settled();
}

function drop(one) {
  one.stop?.();
  attached.set(address, here().filter((other) => other !== one));
  keepFiles(address);
  render();
}

function fileView(one) {
  const { file: { name: called, size: bytes }, done, failed, isFinal, isLost } = one;
  return el("li", { class: failed ? "failed" : null },
    el("span.name", called ? name(called) : "picture"), el("small", failed ?? size(bytes)),
    !done && !failed && progressView(one),
    failed && !isFinal && el("button", { type: "button", class: "quiet", onclick: () => (isLost ? $("pick").click() : begin(one)) }, isLost ? "Attach again" : "Try again"),
    el("button", { type: "button", class: "quiet", "aria-label": `Remove ${called}`, onclick: () => drop(one) }, "Remove"));
}

function render() {
  keyed($("files"), here().map((one) => [one.key, [!one.done, one.failed, one.away], () => fileView(one)]));
  say($("told"), hint());
  $("attach").hidden = !has("files") || Boolean(edited);
  $("later").hidden = !has("schedule");
  $("when").hidden = !has("schedule") || Boolean(edited);
}

/** What stands above the field: why one may not post, or soon may not. */
function hint() {
  const long = lengthLine(text.value);
  if (long) return [long];
  if (edited) return ["You are editing a message. ", el("button.quiet", { type: "button", onclick: leave }, "Leave it as it is")];
  const ban = bannedUntil();
  if (ban) return [`You may not post until ${moment(ban)}, for `, countdown(Date.parse(ban)), ". You can read."];
  const limit = allowance();
  if (address === "common" && limit?.left <= 5 && limit.until) {
    return [`${limit.left || "No"} more message${limit.left === 1 ? "" : "s"} to everyone `, period(Date.parse(limit.until)), "."];
  }
  const failed = here().filter((one) => one.failed);
  if (failed.some(({ isLost }) => isLost)) return ["A file was not sent: attach it again, or remove it."];
  if (failed.length) return [failed.every(({ isFinal }) => isFinal) ? "A file is too large: remove it." : "A file was not uploaded: try again, or remove it."];
  return [];
}

/** What is to be posted, with its file: the text with the first one, each further one by itself. */
function posts() {
  const words = text.value.trim() && { text: text.value };
  if (!here().length) return words ? [[words]] : [];
  return here().map((one, index) => [{ ...(index === 0 && words), file: one.done?.id }, one]);
}

/** Takes an own message up to change its text, or goes on with that. */
function edit({ id, text: words }) {
  if (edited && text.value === edited.text) dropDraft(placeOf(edited));
  const message = { id, text: words };
  keepEditing(address, message);
  if (!draft(placeOf(message)).text) keepDraft(placeOf(message), { text: words, files: [] });
  show(address);
  text.focus();
}

/** A message is changed no more: the draft is there again. */
function end(place, message) {
  dropDraft(placeOf(message));
  if (editing(place)?.id === message.id) keepEditing(place, null);
  if (place === address) show(address);
}

function leave() {
  end(address, edited);
  text.focus();
}

/** The message that was being changed is gone: what was to become of it is a draft. */
function orphan(place, message) {
  const words = draft(placeOf(message)).text;
  const isChanged = words.trim() && words !== message.text;
  if (isChanged) addToDraft(place, words, true);
  notice(`This message is gone meanwhile.${isChanged ? " What you wrote is a draft now." : ""}`);
  end(place, message);
}

async function change() {
  const [place, message, words] = [address, edited, text.value];
  try {
    if (words !== message.text) await post("/edit", { message: message.id, text: words });
    end(place, message);
    if (place === address) text.focus();
  } catch (problem) {
    if (problem.status === 404) orphan(place, message);
    else notice(explain(problem));
  }
}

/** Queues what was written; what is not uploaded yet waits there. */
function submit() {
  if (edited) return change();
  if (here().some(({ failed }) => failed)) return render();
  for (const [post, file] of posts()) send(address, "/send", { to: address, ...post }, file);
  clear();
  toEnd();
}

function clear() {
  attached.delete(address);
  field.clear();
  offer([]);
  render();
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  submit();
};
$("when").onclick = () => {
  const [first] = here().every(({ done }) => done) ? posts() : [];
  if (first) chooseTime(address, first[0], clear);
  else {
    notice(here().length ? "Its files are not uploaded yet." : "Write something first: the clock sends it later.");
    text.focus();
  }
};
$("attach").onclick = () => $("pick").click();
$("pick").onchange = () => {
  attach($("pick").files);
  $("pick").value = "";
};
/** What is typed of a name after an `@`. */
const begun = () => /(?:^|\s)@(\S*)$/.exec(text.value.slice(0, text.selectionStart))?.[1];

/** Who of those who are there may be meant by it. */
function offers() {
  const typed = begun();
  if (typed == null || !has("mentions")) return [];
  const { kind, title } = chatOf(address);
  const people = kind === "private" ? [title] : state.rooms.get(address)?.members ?? [...state.users.keys()];
  const isMeant = (one) => one.toLowerCase().startsWith(typed.toLowerCase()) && one !== typed && !isMe(one) && !isBot(one);
  return people.filter(isMeant).slice(0, 5);
}

function complete(one) {
  const at = text.selectionStart;
  text.setRangeText(`${one} `, at - (begun()?.length ?? 0), at, "end");
  text.focus();
  text.dispatchEvent(new Event("input"));
}

const offer = (all = offers()) => say($("names"), all.map((one) => el("button.quiet", { type: "button", onclick: () => complete(one) }, "@", name(one))));

/** Tab completes a name that was begun; where Escape has left it, it goes on as ever. */
text.addEventListener("keydown", (event) => {
  if (event.key === "Escape") offer([]);
  const [first] = event.key === "Tab" && !event.shiftKey && $("names").children.length ? offers() : [];
  if (!first || !begun()) return;
  event.preventDefault();
  complete(first);
});

/** Up in an empty field takes one's last message up, Escape leaves it. */
text.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.key === "Escape" && edited) leave();
  if (event.key !== "ArrowUp" || text.value || edited) return;
  const last = ownLast(address);
  if (!last || !isChangeable(last)) return;
  event.preventDefault();
  edit(last);
});
addEventListener("edit", ({ detail }) => edit(detail));
text.addEventListener("input", () => {
  say($("told"), hint());
  offer();
  if (text.value.trim()) tellTyping(address);
});
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
/** Elsewhere a file is dropped in vain: the browser would open it in the place of the page. */
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
/** What is being uploaded is lost with the page; who is signed out leaves all the same. */
addEventListener("beforeunload", (event) => {
  const isUnderWay = isUploading() || [...attached.values()].flat().some(({ done, failed }) => !done && !failed);
  if (isUnderWay && session()?.name === state.me) event.preventDefault();
});
addEventListener("redraft", ({ detail }) => {
  // What was taken back may be on its way still.
  if (detail?.upload) take(detail.place, detail.upload);
  if (address) show(address);
});
addEventListener("limit", ({ detail }) => {
  const [, left, seconds] = /r=(\d+);t=(\d+)/.exec(detail) ?? [];
  const limit = state.user.rate_limit;
  if (limit && left) Object.assign(limit, { left: Number(left), until: new Date(Date.now() + seconds * 1000).toISOString() });
});
onChange(() => {
  if (!address || !state.ready) return;
  if (edited && isGone(address, edited.id)) orphan(address, edited);
  else render();
});
