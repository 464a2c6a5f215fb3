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
  if (text) return `Draft: ${text}`;
  if (!last) return "";
  const words = last.text || last.file?.name || "a file";
  return isMe(last.from) ? `You: ${words}` : chat.startsWith("@") ? words : `${last.from}: ${words}`;
}

function chatView(chat, isOpen, isOnline) {
  const { unread } = chat;
  const words = unread ? `, ${unread} unread` : "";
  return el("li", null, el("a", { href: hashOf(chat.chat), "aria-current": isOpen && "page", class: unread ? "unread" : null },
    el("span", { class: `face ${chat.kind}${isOnline ? " online" : ""}`, "aria-hidden": "true" }, [...titleOf(chat)][0].toUpperCase()),
    el("span", { class: "name", dir: "auto" }, titleOf(chat), isOnline && el("span", { class: "unseen" }, ", online")),
    el("span", { class: "last", dir: "auto" }, line(chat).slice(0, 200)),
    unread > 0 && el("span", { class: "count" }, unread, el("span", { class: "unseen" }, words.slice(2 + String(unread).length)))));
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
  return el("li", { class: "invite" }, el("p", null, el("b", null, title), el("br"), `${from} invites you`), el("button", { class: "main", onclick: join }, "Join"));
}

const askedView = ({ title }) => el("li", { class: "invite" }, el("p", null, el("b", null, title), el("br"), "You asked to come in"));

const rank = ({ kind }) => (kind === "common" ? 0 : 1);

onChange(() => {
  if (!state.ready) return;
  const open = decodeURIComponent(document.body.dataset.open ?? "");
  const chats = [...state.chats.values()];
  chats.sort((one, other) => rank(one) - rank(other) || other.top - one.top || one.title.localeCompare(other.title));
  const isOnline = (chat) => chat.kind === "private" && !isMe(chat.title) && Boolean(state.users.get(chat.title)?.online);
  keyed($("chats"), [
    ...[...state.invites.values()].map((one) => [`invite ${one.room}`, JSON.stringify(one), () => inviteView(one)]),
    ...chats.map((chat) => [chat.chat, JSON.stringify([chat, open === chat.chat, isOnline(chat), draft(chat.chat).text]), () => chatView(chat, open === chat.chat, isOnline(chat))]),
    ...(has("rooms") ? state.asked : []).map((one) => [`asked ${one.at}`, one.title, () => askedView(one)]),
  ]);
  const unread = chats.reduce((sum, chat) => sum + chat.unread, 0);
  document.title = unread ? `(${unread}) ${state.server.name}` : state.server.name;
  $("server").textContent = state.server.name;
});
