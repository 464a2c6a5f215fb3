/** The comments on a message. */
import { el, keyed, name, say, time } from "./dom.js";
import { addressOf, changed, find, isGone, notice, openThread, state } from "./store.js";
import { rescue, send } from "./outbox.js";
import { get } from "./net.js";
import { leave } from "./place.js";
import { fail, open, page } from "./sheet.js";
import { lengthLine } from "./words.js";
import { writer } from "./writer.js";
import { pending, textView } from "./messages.js";

export const showThread = page("thread", (id) => {
  const message = find(id);
  if (message) show(message);
  // One that was come back to may be far up in its chat.
  else get(`/messages/${id}`).then(show, leave);
});

function show(message) {
  const place = `#${message.id}`;
  open("Comments", (body) => {
    const head = el("blockquote");
    const list = el("ol.comments", { "aria-label": "Comments", "aria-live": "polite" });
    const text = el("textarea", { rows: 1, "aria-label": "Comment" });
    const long = el("p.hint", { role: "status" });
    const form = el("form.line", { onsubmit }, text, el("button.main", "Send"));
    const field = writer(text, () => place);
    function onsubmit(event) {
      event.preventDefault();
      const words = text.value;
      if (!words.trim()) return;
      send(place, `/messages/${message.id}/comments`, { text: words });
      field.clear();
      count();
    }
    const count = () => say(long, lengthLine(text.value));
    text.addEventListener("input", count);
    body.append(head, list, form, long);
    field.show();
    count();
    text.focus();
    openThread(message.id).then(changed, fail);
    return () => {
      if (isGone(addressOf(message), message.id)) {
        orphan([message]);
        return body.replaceChildren(el("p.hint", "This message is gone, and its comments with it."));
      }
      const { from, text: words, file } = find(message.id) ?? message;
      say(head, el("div.by", name(from)), el("p.text", { dir: "auto" }, words || file?.name));
      const comments = state.thread?.message === message.id ? state.thread.list : [];
      keyed(list, [...comments.map((one) => [one.id, one, commentView]), ...pending(place)]);
    };
  }, ["thread", message.id], true);
}

/** What was to be said about messages that are gone becomes a draft in their chat. */
function orphan(messages) {
  for (const message of messages) {
    if (rescue([`#${message.id}`], addressOf(message))) notice("The message that you commented on is gone. What you wrote is a draft in its chat now.");
  }
}

addEventListener("removed", ({ detail: ids }) => orphan(ids.map(find).filter(Boolean)));

const commentView = ({ from, at, text }) => el("li",
  el("div.by", name(from), " ", time(at)), textView(text));

addEventListener("sheetclosed", () => (state.thread = null));
