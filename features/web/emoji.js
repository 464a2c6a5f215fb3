/** Emoji on messages: beneath each, how to put one there, and who did. */
import { $, el, name, time } from "./dom.js";
import { get, post } from "./net.js";
import { find, notice } from "./store.js";
import { action, fail, open, page } from "./sheet.js";
import { explain } from "./words.js";

/** What is a click away. */
const COMMON = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];
const picker = $("picker");
/** So far is it from what opened it and from the edges, in pixels. */
const GAP = 8;
/** The message that it is open for. */
let about = 0;

/** Those of a message, as buttons that put one's own there and take it back. */
export const reactionsView = ({ id, reactions }) => el("div.reactions", { role: "group", "aria-label": "Reactions" },
  reactions.map(({ emoji, count, mine }) => el("button.reaction", {
    "data-is": emoji, "aria-pressed": String(mine), "aria-label": `${emoji} ${count}${mine ? ", you too" : ""}`,
    onclick: () => react(id, emoji, !mine).catch((problem) => notice(explain(problem))),
  }, `${emoji} ${count}`)),
  el("button.quiet", { "data-is": "who", onclick: () => showWho(id) }, "Who reacted"));

/** What is there is told by its event, here as in every other tab. */
const react = (message, emoji, on) => post("/react", { message, emoji, on });

const isMine = (emoji) => find(about)?.reactions?.some((one) => one.emoji === emoji && one.mine) ?? false;

/** Offers emoji for a message, beside the button that was pressed. */
export function choose(message, { currentTarget: button }) {
  about = message;
  const { bottom, right, top } = button.getBoundingClientRect();
  const field = el("input", { name: "emoji", required: true, autocomplete: "off", "aria-label": "Any other emoji", placeholder: "Any other" });
  picker.replaceChildren(
    el("div.choices", COMMON.map((emoji) => el("button.icon", { "aria-pressed": String(isMine(emoji)), onclick: () => put(emoji, !isMine(emoji)) }, emoji))),
    el("form.line", { onsubmit: (event) => (event.preventDefault(), put(field.value.trim(), true)) }, field, el("button.main", "React")),
    el("p.error", { role: "alert" }));
  picker.showPopover();
  const below = bottom + GAP + picker.offsetHeight < innerHeight;
  picker.style.top = `${Math.max(GAP, below ? bottom + GAP : top - GAP - picker.offsetHeight)}px`;
  picker.style.left = `${Math.max(GAP, Math.min(right, innerWidth - GAP) - picker.offsetWidth)}px`;
  picker.querySelector("button").focus();
}

async function put(emoji, on) {
  try {
    await react(about, emoji, on);
    picker.hidePopover();
  } catch (problem) {
    picker.querySelector(".error").textContent = explain(problem);
  }
}

addEventListener("moved", () => picker.hidePopover());
/** What opened it is out of sight by then, unless the pointer is there. */
picker.addEventListener("toggle", ({ newState }) => {
  const message = document.querySelector(`#messages [data-key="${about}"]`);
  if (newState === "closed" && (document.activeElement === document.body || picker.contains(document.activeElement))) message?.focus();
});

const showWho = page("who", (message) => {
  open("Who reacted", (body) => {
    const list = el("ol.people");
    const rest = el("div");
    let shown;
    async function more(after) {
      const now = shown;
      const page = await get(`/messages/${message}/reactions?after=${after}&limit=200`);
      if (now !== shown) return;
      if (!after) list.replaceChildren();
      list.append(...page.reactions.map(({ emoji, user, at }) => el("li", el("span", emoji), el("span.grow", name(user)), time(at))));
      rest.replaceChildren(...(page.more ? [action("More", () => more(page.reactions.at(-1).id))] : []));
    }
    body.append(list, rest);
    return () => {
      const now = JSON.stringify(find(message)?.reactions);
      if (now === shown) return;
      shown = now;
      more(0).catch(fail);
    };
  }, ["who", message]);
});
