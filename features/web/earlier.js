/** What a message said before it was changed, where the server keeps that. */
import { el, time } from "./dom.js";
import { get } from "./net.js";
import { fail, open } from "./sheet.js";
import { textView } from "./messages.js";

export function showEarlier({ id, text, edited }) {
  open("What it said", (body) => {
    const list = el("ol.comments", { "aria-label": "Its texts, the oldest first" });
    body.append(list);
    fetchAll(id).then((edits) => list.append(...[...edits, { at: edited, text }].map(view)), fail);
  });
}

async function fetchAll(id) {
  const all = [];
  for (let page = { more: true }; page.more;) {
    page = await get(`/messages/${id}/edits?after=${all.at(-1)?.id ?? 0}&limit=200`);
    all.push(...page.edits);
  }
  return all;
}

const view = ({ at, text }) => el("li", el("div.by", time(at)), textView(text));
