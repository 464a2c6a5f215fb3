/** The chats at the side, with what is unread and who invites. */
import { $, el, keyed } from "./dom.js";
import { post } from "./net.js";
import { has, isMe, notice, onChange, state } from "./store.js";
import { draft } from "./outbox.js";
import { sentence } from "./sheet.js";

export const hashOf = (address) => `#${encodeURIComponent(address)}`;

/** What a chat is called. */
export function titleOf({ chat, kind, title }) {
  if (kind === "common") return "Everyone";
  return kind === "private" && isMe(title) ? "Notebook" : title;
}

/** What stands under a chat's title. */
function line({ chat, last }) {
  const { text } = draft(chat);
  if (text) return `Draft: ${text.slice(0, 200)}`;
  if (!last) return "Nothing yet";
  const words = last.text.slice(0, 200) || last.file?.name || "a file";
  return isMe(last.from) ? `You: ${words}` : chat.startsWith("@") ? words : `${last.from}: ${words}`;
}

function chatView(chat) {
  const { unread, isOpen, isOnline } = chat;
  const words = unread ? `, ${unread} unread` : "";
  return el("li", el("a", { href: hashOf(chat.chat), "aria-current": isOpen && "page", class: unread ? "unread" : null },
    el("span", { class: `face ${chat.kind}${isOnline ? " online" : ""}`, "aria-hidden": "true" }, [...titleOf(chat)][0].toUpperCase()),
    el("span.name", { dir: "auto" }, titleOf(chat), isOnline && el("span.unseen", ", online")),
    el("span.last", { dir: "auto" }, chat.line),
    unread > 0 && el("span.count", unread, el("span.unseen", words.slice(2 + String(unread).length)))));
}

function inviteView({ room, title, from }) {
  const join = async () => {
    try {
      await post(`/rooms/${room.slice(5)}/join`);
      location.hash = hashOf(room);
    } catch (problem) {
      notice(sentence(problem.message));
    }
  };
  return el("li.invite", el("p", el("b", title), el("br"), `${from} invites you`), el("button.main", { onclick: join }, "Join"));
}

const askedView = ({ title }) => el("li.invite", el("p", el("b", title), el("br"), "You asked to come in"));

const rank = ({ kind }) => (kind === "common" ? 0 : 1);

onChange(() => {
  if (!state.ready) return;
  const chats = [...state.chats.values()];
  chats.sort((one, other) => rank(one) - rank(other) || other.top - one.top || one.title.localeCompare(other.title));
  const isOnline = (chat) => chat.kind === "private" && !isMe(chat.title) && Boolean(state.users.get(chat.title)?.online);
  keyed($("chats"), [
    ...[...state.invites.values()].map((one) => [`invite ${one.room}`, one, inviteView]),
    ...chats.map((chat) => [chat.chat, { ...chat, isOpen: state.open === chat.chat, isOnline: isOnline(chat), line: line(chat) }, chatView]),
    ...(has("rooms") ? state.asked : []).map((one) => [`asked ${one.at}`, one, askedView]),
  ]);
  const count = (some) => some.reduce((sum, chat) => sum + chat.unread, 0);
  const [unread, elsewhere] = [count(chats), count(chats.filter(({ chat }) => chat !== state.open))];
  // Where the list is out of sight, the way back to it says what waits there.
  $("elsewhere").textContent = elsewhere || "";
  $("back").setAttribute("aria-label", elsewhere ? `All chats, ${elsewhere} unread` : "All chats");
  document.title = unread ? `(${unread}) ${state.server.name}` : state.server.name;
  $("server").textContent = state.server.name;
});
