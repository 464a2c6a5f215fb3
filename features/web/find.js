/** Finding messages: by their words, and those that call one. What is found opens in its chat. */
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
  if (!isThere) notice("It is too far back, or gone.");
  changed();
}

/** A message that was found, as the pieces of its text; `isNew` where it is unread. */
function hitView(message, pieces, isNew) {
  return el("li", el("button.hit", { onclick: () => goTo(message) },
    el("span.name", name(message.from), " ", isNew && el("mark", "new "), el("small", name(titleOf(chatOf(addressOf(message)))), ", ", time(message.at))),
    el("span.text", { dir: "auto" }, pieces)));
}

/** Where what is found is listed, the newest first. `ask` gets the last that is there, and gives `{hits, last, more, told}`. */
function results(label, ask) {
  const list = el("ol.found", { "aria-label": label });
  const told = el("p.hint", { role: "status" });
  const older = el("button", { type: "button", hidden: true, onclick: () => fill().catch(fail) }, "Older ones");
  let last;
  async function fill() {
    const before = last ? `&before=${last}` : "";
    const found = await ask(`limit=30${before}`);
    last = found.last ?? last;
    list.append(...found.hits);
    older.hidden = !found.more;
    told.textContent = found.told(list.children.length);
  }
  const begin = () => {
    last = undefined;
    list.replaceChildren();
    return fill();
  };
  return { told, parts: [told, list, older], begin };
}

const showSearch = page("find", () => {
  open("Find messages", (body) => {
    let asked = "";
    const { told, parts, begin } = results("What was found", async (which) => {
      const { found, more, complete } = await get(`/search?q=${encodeURIComponent(asked)}&${which}`);
      const hits = found.map(({ message, snippet }) => hitView(message, snippet.map(({ text, hit }) => (hit ? el("mark", text) : text))));
      return { hits, more, last: found.at(-1)?.message.id, told: (count) => (!count ? "Nothing was found." : complete ? "" : "Older messages are still being indexed.") };
    });
    told.textContent = "All words must match. \u201cA phrase\u201d, -without, begin*, from:name.";
    const field = el("input", { type: "search", name: "q", required: true, maxlength: 256, "aria-label": "Words to find", dir: "auto" });
    body.append(form([field], "Find", ({ q }) => {
      asked = q;
      return begin();
    }), ...parts);
    field.focus();
  }, ["find"]);
});

export const showMentions = page("mentions", () => {
  open("Mentions", (body) => {
    const { parts, begin } = results("What calls you", async (which) => {
      const { messages, more } = await get(`/mentions?${which}`);
      const isNew = (message) => chatOf(addressOf(message)).calls.includes(message.id);
      const hits = messages.map((message) => hitView(message, message.text, isNew(message))).reverse();
      return { hits, more, last: messages[0]?.id, told: (count) => (count ? "" : "Nobody has called you by @ and your name.") };
    });
    body.append(...parts);
    begin().catch(fail);
  }, ["mentions"]);
});

$("find").onclick = showSearch;
onChange(() => ($("find").hidden = !has("search")));
