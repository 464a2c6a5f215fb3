/** Finding messages by their words; what is found opens in its chat. */
import { $, el, name, time } from "./dom.js";
import { get } from "./net.js";
import { addressOf, changed, chatOf, has, notice, onChange } from "./store.js";
import { go } from "./place.js";
import { fail, form, open, page } from "./sheet.js";
import { titleOf } from "./chats.js";
import { reveal } from "./messages.js";

async function goTo(message) {
  const address = addressOf(message);
  let isThere;
  try {
    isThere = await reveal(address, message.id);
  } catch (problem) {
    return fail(problem);
  }
  go(address);
  if (!isThere) notice("It is gone.");
  changed();
}

function hitView({ message, snippet }) {
  const pieces = snippet.map(({ text, hit }) => (hit ? el("mark", text) : text));
  return el("li", el("button.hit", { onclick: () => goTo(message) },
    el("span.name", name(message.from), " ", el("small", name(titleOf(chatOf(addressOf(message)))), ", ", time(message.at))),
    el("span.text", { dir: "auto" }, pieces)));
}

const showSearch = page("find", () => {
  open("Find messages", (body) => {
    const list = el("ol.found", { "aria-label": "What was found" });
    const told = el("p.hint", { role: "status" }, "All words must match. \u201cA phrase\u201d, -without, begin*, from:name.");
    let asked = "";
    const older = el("button", { type: "button", hidden: true, onclick: () => ask().catch(fail) }, "Older ones");
    let last;
    async function ask() {
      const before = last ? `&before=${last}` : "";
      const { found, more, complete } = await get(`/search?q=${encodeURIComponent(asked)}&limit=30${before}`);
      last = found.at(-1)?.message.id ?? last;
      list.append(...found.map(hitView));
      older.hidden = !more;
      told.textContent = !list.children.length ? "Nothing was found." : complete ? "" : "Older messages are still being indexed.";
    }
    const field = el("input", { type: "search", name: "q", required: true, maxlength: 256, "aria-label": "Words to find", dir: "auto" });
    body.append(form([field], "Find", ({ q }) => {
      asked = q;
      last = undefined;
      list.replaceChildren();
      return ask();
    }), told, list, older);
    field.focus();
  }, ["find"]);
});

$("find").onclick = showSearch;
onChange(() => ($("find").hidden = !has("search")));
