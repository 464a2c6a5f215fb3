/** The chats at the side, with what is unread and who invites. */
import { $, el, icon, keyed, name, say } from "./dom.js";
import { post } from "./net.js";
import { go, hashOf } from "./place.js";
import { asksIn, isBot, isMe, notice, onChange, state } from "./store.js";
import { draft } from "./outbox.js";
import { explain } from "./words.js";

const COMMON = "Everyone";
const NOTEBOOK = "Notebook";
/** Names that look as what is the page's own. */
const OWN = [COMMON, NOTEBOOK].map((one) => one.toLowerCase());

/** What a chat is called: rooms have their sign, so that none looks as another kind of chat does, whatever its title is. */
export function titleOf({ kind, title }) {
  if (kind === "common") return COMMON;
  if (kind === "room") return `# ${title}`;
  if (isMe(title)) return NOTEBOOK;
  return OWN.includes(title.toLowerCase()) ? `@${title}` : title;
}

/** What stands for a chat in the list: a picture for what is everyone's, else a letter. */
const faceOf = (chat) => (chat.kind === "common" ? icon("people") : [...chat.title][0].toUpperCase());

/** What stands under a chat's title: who wrote it, where that is to be said, and what. */
function line({ chat, last }) {
  const { text } = draft(chat);
  if (text) return ["Draft", text.slice(0, 200)];
  if (!last) return [null, "Nothing yet"];
  const words = last.text.slice(0, 200) || last.file?.name || "a file";
  return [isMe(last.from) ? "You" : chat.startsWith("@") ? null : last.from, words];
}

/** That so many ask to come into a room. */
export const asksText = (asks) => `${asks} ask${asks === 1 ? "s" : ""}`;

function chatView(chat) {
  const { unread, calls, asks, isOpen, isOnline, line: [by, words] } = chat;
  return el("li", el("a", { href: hashOf(chat.chat), "aria-current": isOpen && "page", class: unread || asks ? "unread" : null },
    el("span", { class: `face ${chat.kind}${isOnline ? " online" : ""}`, "aria-hidden": "true" }, faceOf(chat)),
    el("span.name", { dir: "auto" }, titleOf(chat), isOnline && el("span.unseen", ", online")),
    el("span.last", by && el("span", name(by), ": "), name(words)),
    unread > 0 && el("span.count", calls.length > 0 && "@ ", unread, el("span.unseen", calls.length > 0 ? " unread, for you too" : " unread")),
    asks > 0 && el("span.asking", asksText(asks), el("span.unseen", " to come in"))));
}

function inviteView({ room, title, from }) {
  const join = async () => {
    try {
      await post(`/rooms/${room.slice(5)}/join`);
      go(room);
    } catch (problem) {
      notice(explain(problem));
    }
  };
  return el("li.invite", el("p", name(title), el("br"), name(from), " invites you"), el("button.main", { onclick: join }, "Join"));
}

const askedView = ({ title }) => el("li.invite", el("p", name(title), el("br"), "You asked to come in"));

const rank = ({ kind }) => (kind === "common" ? 0 : 1);

onChange(() => {
  if (!state.ready) return;
  const chats = [...state.chats.values()];
  chats.sort((one, other) => rank(one) - rank(other) || other.top - one.top || one.title.localeCompare(other.title));
  const isOnline = (chat) => chat.kind === "private" && !isMe(chat.title) && !isBot(chat.title) && Boolean(state.users.get(chat.title)?.online);
  keyed($("chats"), [
    ...[...state.invites.values()].map((one) => [`invite ${one.room}`, one, inviteView]),
    ...chats.map((chat) => [chat.chat, { ...chat, asks: asksIn(chat.chat), isOpen: state.open === chat.chat, isOnline: isOnline(chat), line: line(chat) }, chatView]),
    ...[...state.asked.values()].filter(({ decided }) => !decided).map((one) => [`asked ${one.at}`, one, askedView]),
  ]);
  const sum = (some, count) => some.reduce((all, chat) => all + count(chat), 0);
  const unread = (some) => sum(some, (chat) => chat.unread);
  const asks = (some) => sum(some, ({ chat }) => asksIn(chat));
  // Where the list is out of sight, the way back to it says what waits there.
  const others = chats.filter(({ chat }) => chat !== state.open);
  const words = [unread(others) && `${unread(others)} unread`, asks(others) && `${asksText(asks(others))} to come in`];
  $("elsewhere").textContent = unread(others) + asks(others) || "";
  $("back").setAttribute("aria-label", ["All chats", ...words.filter(Boolean)].join(", "));
  const all = unread(chats) + asks(chats);
  document.title = all ? `(${all}) ${state.server.name}` : state.server.name;
  for (const id of ["server", "named"]) say($(id), state.server.name);
});
