/** People: whom to write to, and one of them, with what can be done about them. */
import { el, keyed, moment, name as called, say } from "./dom.js";
import { post } from "./net.js";
import { has, isBot, isMe, notice, state } from "./store.js";
import { go } from "./place.js";
import { action, close, form, open, page } from "./sheet.js";
import { inviteTo, newRoom } from "./groups.js";

/** Somebody's presence in words. */
const presence = ({ online, seen }) => (online ? "online" : seen ? `seen ${moment(seen)}` : "");

/** Everyone, to begin a chat with; and a room to begin. */
export const showPeople = page("people", () => {
  open("New chat or room", (body) => {
    const find = el("input", { type: "search", "aria-label": "Find somebody by name", placeholder: "Find somebody", oninput: () => update() });
    const list = el("ul.people");
    body.append(has("rooms") ? newRoom() : "", el("h3", "People"), find, list);
    function update() {
      const wanted = find.value.trim().toLowerCase();
      const found = [...state.users.values()].filter(({ name }) => name.toLowerCase().includes(wanted) && !isBot(name));
      found.sort((one, other) => Number(other.online) - Number(one.online) || one.name.localeCompare(other.name));
      // A name that is not in the list may be one all the same.
      const typed = wanted && !found.some(({ name }) => name.toLowerCase() === wanted) && !isBot(wanted) ? [{ name: find.value.trim() }] : [];
      keyed(list, [...found.slice(0, 200), ...typed].map((user) => [user.name, user, personView]));
    }
    return update;
  }, ["people"]);
});

const personView = (user) => el("li", el("button.row", { onclick: () => go(`@${user.name}`) },
  el("span", { class: `face private${user.online ? " online" : ""}`, "aria-hidden": "true" }, [...user.name][0].toUpperCase()),
  el("span.name", called(user.name), isMe(user.name) && " (you)"), el("small", isMe(user.name) ? "your notebook" : presence(user))));

/** One person, perhaps the author of a message, which is given by its id. */
export const showPerson = page("person", (name, message) => {
  open(name, (body) => {
    const line = el("p.hint");
    body.append(line);
    if (!isBot(name)) body.append(action("Write in private", () => go(`@${name}`), { class: "main" }), has("rooms") ? inviteTo(name) : "");
    if (has("complaints")) body.append(complaint(name, message));
    return () => say(line, isBot(name) ? "A program, which posts by a hook and reads nothing." : presence(state.users.get(name) ?? {}));
  }, ["person", name, message]);
});

function complaint(name, message) {
  const about = message ? "The message goes with it." : "";
  const send = async ({ reason }) => {
    const made = await post("/complaints", { user: name, reason: reason || undefined, message });
    close();
    if (made.banned_until) notice(called(name), ` may not post until ${moment(made.banned_until)}.`);
    else notice("Noted: ", called(name), ` has ${made.warnings} of ${made.limit} warnings.`);
  };
  return el("details", el("summary", "Complain about ", called(name)),
    form([el("label", "Reason, if you like", el("textarea", { name: "reason", rows: 3, maxlength: 4000 })),
      el("p.hint", `A complaint is a warning. Nobody is told who made it, and it can't be taken back. ${about}`)], "Complain", send));
}
