/** The comments on a message. */
import { el, keyed, name, say, time } from "./dom.js";
import { changed, find, openThread, state } from "./store.js";
import { send } from "./outbox.js";
import { fail, open } from "./sheet.js";
import { lengthLine } from "./words.js";
import { writer } from "./writer.js";
import { pending, textView } from "./messages.js";

export function showThread(message) {
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
      const isGone = state.histories.size && !find(message.id);
      if (isGone) return body.replaceChildren(el("p.hint", "This message is gone, and its comments with it."));
      const { from, text: words, file } = find(message.id) ?? message;
      say(head, name(from), " ", name(words || file?.name));
      const comments = state.thread?.message === message.id ? state.thread.list : [];
      keyed(list, [...comments.map((one) => [one.id, one, commentView]), ...pending(place)]);
    };
  }, true);
}

const commentView = ({ from, at, text }) => el("li",
  el("div.by", name(from), " ", time(at)), textView(text));

addEventListener("sheetclosed", () => (state.thread = null));
