/**
 * What the page knows: asked for once, then kept by the events alone. Views read `state` and are
 * told by `onChange`; nothing else writes it.
 */
import { name } from "./dom.js";
import { get, now } from "./net.js";

/** So many users are listed; others are written to by typing their name. */
const MOST = 2000;

export const state = {
  ready: false,
  link: { state: "connecting" },
  me: "",
  /** The address of the chat that is looked at. */
  open: "",
  server: { name: "veche", features: [] },
  user: {},
  clients: new Map(),
  chats: new Map(),
  users: new Map(),
  /** By address, what is held of the messages: `history.js`. */
  histories: new Map(),
  rooms: new Map(),
  invites: new Map(),
  /** One's own requests to come into rooms, by when they were made: `{at, title, decided}`. */
  asked: new Map(),
  scheduled: new Map(),
  hooks: new Map(),
  subscriptions: new Map(),
  /** The names of programs, in small letters, as far as their messages were seen. */
  bots: new Set(),
  /** The comments that are looked at: `{message, list}`. */
  thread: null,
};

/** So few posts left are kept count of. */
const LOW = 100;

const listeners = new Set();
let isTold = true;

export function onChange(listener) {
  listeners.add(listener);
}

/** Has the views look again, once for all that changes now. */
export function changed() {
  if (!isTold) return;
  isTold = false;
  queueMicrotask(() => {
    isTold = true;
    listeners.forEach((listener) => listener());
  });
}

// A time is there that was counted down to.
addEventListener("due", changed);

/** Tells the person something that no view shows. */
export const notice = (...words) => noticeWhile(null, ...words);
/** The same, until what it tells is over: once `holds` has said yes and then says no. */
export const noticeWhile = (holds, ...words) => dispatchEvent(new CustomEvent("notice", { detail: { words, holds } }));

export const has = (feature) => state.server.features.includes(feature);
export const isMe = (name) => name === state.me;
/** Whether a name is a program's, which reads nothing. */
export const isBot = (name) => state.bots.has(name.toLowerCase());

/** Remembers who of those who wrote messages is a program. */
export function meetBots(messages) {
  for (const { bot, from } of messages) if (bot) meetBot(from);
}

const meetBot = (name) => state.bots.add(name.toLowerCase());

/** The chat of a message, as this user writes its address. */
export function addressOf(message) {
  const isToMe = message.to.startsWith("@") && !isMe(message.from);
  return isToMe ? `@${message.from}` : message.to;
}

/** What one may still post to everyone, or undefined: `{messages, left, until}`. */
export function allowance() {
  const limit = state.user.rate_limit;
  return limit?.until && Date.parse(limit.until) <= Date.now() ? { messages: limit.messages, left: limit.messages } : limit;
}

/** Until when one may not post, or null. */
export function bannedUntil() {
  const until = state.user.complaints?.banned_until;
  return until && Date.parse(until) > Date.now() ? until : null;
}

/**
 * How many are in a chat. Names are counted wherever they are known, since events can come before or after
 * what was asked for at the same time: a name that is told twice is one, a number would be off by one.
 */
export function membersOf({ chat, members }) {
  if (chat === "common") return state.users.size < MOST ? Math.max(members, state.users.size) : members;
  return state.rooms.get(chat)?.members?.length ?? members;
}

/** How many ask to come into a room of one's own. */
export const asksIn = (address) => state.rooms.get(address)?.requests?.length ?? 0;

/** A private chat is among the others, also where nobody wrote in it. */
export const begin = (address) => state.chats.has(address) || state.chats.set(address, blank(address));

export const chatOf = (address) => state.chats.get(address) ?? blank(address);

function blank(address) {
  const isRoom = address.startsWith("room:");
  return { chat: address, kind: isRoom ? "room" : "private", title: isRoom ? "?" : address.slice(1), members: 2, unread: 0, read: 0, calls: [], last: null, top: 0 };
}

/** What arrives while something is asked for waits for the answer, so that each goes on the other. */
let waiting = null;
let asking = 0;

export async function meanwhile(ask) {
  waiting ??= [];
  asking += 1;
  try {
    return await ask();
  } finally {
    asking -= 1;
    if (!asking) {
      const events = waiting;
      waiting = null;
      events.forEach((event) => take(event, true));
    }
    changed();
  }
}

export function hear(events) {
  for (const event of events) {
    if (waiting) waiting.push(event);
    else take(event);
  }
  changed();
}

export const load = () => meanwhile(async () => {
  await overview();
  const [rooms, scheduled, hooks, subscriptions] = await Promise.all([
    has("rooms") && get("/rooms"),
    has("schedule") && get("/scheduled"),
    has("webhooks") && get("/hooks"),
    has("subscriptions") && get("/subscriptions"),
    everyone(),
  ]);
  state.rooms = byKey(rooms?.rooms, "room");
  state.invites = byKey(rooms?.invites, "room");
  const before = state.asked;
  state.asked = byKey(rooms?.requests, "at");
  for (const { at, title, decided } of before.values()) {
    if (!state.asked.has(at)) state.asked.set(at, { at, title, decided: decided ?? (roomCalled(title) ? "in" : "refused") });
  }
  state.scheduled = byKey(scheduled?.scheduled, "id");
  state.hooks = byKey(hooks?.hooks, "id");
  for (const { name } of state.hooks.values()) meetBot(name);
  state.subscriptions = byKey(subscriptions?.subscriptions, "id");
  state.histories.clear();
  state.ready = true;
});

/** The newest room of a title that one is in. */
export const roomCalled = (title) => [...state.rooms.values()].findLast((room) => room.title === title)?.room;

const byKey = (list, key) => new Map((list ?? []).map((one) => [one[key], one]));

async function overview() {
  const { server, user, chats } = await get("/status");
  state.server = server;
  state.user = user;
  state.me = user.name;
  state.clients = byKey(user.clients, "id");
  const blanks = [...state.chats].filter(([address, { last }]) => address.startsWith("@") && !last);
  // Those in which only something is to be written are known here alone.
  state.chats = new Map([...blanks, ...byKey(chats, "chat")]);
  meetBots(chats.flatMap(({ last }) => last ?? []));
  for (const chat of chats) {
    chat.top = chat.last?.id ?? 0;
    chat.calls = chat.mentions?.unread ?? [];
    chat.read = chat.web.read;
  }
}

/** Somebody is there; a name that is not known is new. */
function meet(name, about = {}) {
  state.users.set(name, { name, online: false, seen: null, ...state.users.get(name), ...about });
}

/** What no event tells again after an outage: who is there. False where the server has other features by now: then all is another. */
export const refresh = () => meanwhile(async () => {
  const { server } = await get("/status");
  const isSame = `${server.features}` === `${state.server.features}`;
  if (isSame) await everyone();
  return isSame;
});

/** Who is there, as far as a list of them is of use. */
async function everyone() {
  const users = new Map();
  for (let page = { more: true }, after = ""; page.more && users.size < MOST;) {
    page = await get(`/users?limit=200${after && `&after=${encodeURIComponent(after)}`}`);
    for (const user of page.users) users.set(user.name, user);
    after = page.users.at(-1)?.name;
  }
  state.users = users;
}

/** Asks for the counts again, where events alone don't tell them. */
let isDoubted = false;
function doubt() {
  if (isDoubted) return;
  isDoubted = true;
  setTimeout(() => {
    isDoubted = false;
    reread();
  }, 300);
}

/** Asks how one stands, of which not all is told by events. */
export const reread = () => meanwhile(overview).catch(() => {});

/** How many of some messages others wrote, after one of them. */
export const countOthers = (list, after = 0) => list.filter(({ id, from }) => id > after && !isMe(from)).length;

export const openThread = (message) => meanwhile(async () => {
  const list = [];
  for (let page = { more: true }, after = 0; page.more; after = list.at(-1)?.id) {
    page = await get(`/messages/${message}/comments?after=${after}&limit=200`);
    list.push(...page.comments);
  }
  state.thread = { message, list };
});

/** A message by its id, where it is there. */
export function find(id) {
  for (const { list } of state.histories.values()) {
    const message = list.find((one) => one.id === id);
    if (message) return message;
  }
  return null;
}

/** Whether a message is gone from a chat, as far as that is known here: it may not be in what was fetched. */
export function isGone(address, id) {
  const { list, since, later } = state.histories.get(address) ?? { list: [], since: Infinity };
  return !list.some((one) => one.id === id) && id > since && (!later || id < list.at(-1)?.id);
}

/** Puts something with an id into a list that is in their order. */
function put(list, one) {
  const place = list.findLastIndex((other) => other.id <= one.id);
  if (list[place]?.id === one.id) list[place] = one;
  else list.splice(place + 1, 0, one);
}

function change(id, fields) {
  for (const { list } of state.histories.values()) {
    const place = list.findIndex((one) => one.id === id);
    if (place >= 0) list[place] = { ...list[place], ...fields };
  }
}

/**
 * A message that was posted. The answer to one's own post may come before the events of what others
 * posted before it, so it does not count as how far one has heard.
 */
export function takeMessage(message, isAnswer) {
  const address = addressOf(message);
  meetBots([message]);
  begin(address);
  const chat = state.chats.get(address);
  if (message.id > (chat.last?.id ?? 0)) chat.last = message;
  if (!isAnswer && message.id > chat.top) {
    chat.top = message.id;
    if (!isMe(message.from)) {
      chat.unread += 1;
      if (message.mentions?.some(isMe)) chat.calls = [...chat.calls, message.id];
      dispatchEvent(new CustomEvent("posted", { detail: { address, message } }));
    }
  }
  const history = state.histories.get(address);
  // The answer is as the message was then; its events may have told more.
  if (history && !history.later && !(isAnswer && find(message.id))) put(history.list, message);
}

/** Until when a message can be changed and removed by who is here, in milliseconds since 1970. */
export function changeableUntil({ from, at }) {
  const { edits } = state.server;
  if (!edits || !isMe(from)) return 0;
  return edits.window_s ? Date.parse(at) + 1000 * edits.window_s : Infinity;
}

export const isChangeable = (message) => changeableUntil(message) > now();

/** One's own last message in a chat, of those that are there. */
export function ownLast(address) {
  const { list, later } = state.histories.get(address) ?? {};
  return later ? null : list?.findLast(({ from }) => isMe(from));
}

export function takeComment(comment) {
  const { thread } = state;
  if (thread?.message === comment.message) put(thread.list, comment);
}

/** One's own post was heard of, perhaps before it is answered. */
function own(place, { from, text, file }) {
  if (!isMe(from)) return;
  dispatchEvent(new CustomEvent("own", { detail: { place, text, file } }));
  // Another client may have posted it, and what is left is told to that one.
  if (allowance()?.left < LOW && !place.startsWith("@")) doubt();
}

const events = {
  message(message) {
    takeMessage(message);
    // Whoever has no stream is told of by no event of their own.
    meet(message.from);
    own(addressOf(message), message);
  },
  removed({ ids }) {
    dispatchEvent(new CustomEvent("removed", { detail: ids }));
    for (const history of state.histories.values()) {
      history.list = history.list.filter(({ id }) => !ids.includes(id));
    }
    for (const chat of state.chats.values()) chat.calls = chat.calls.filter((id) => !ids.includes(id));
    if (ids.includes(state.thread?.message)) state.thread = null;
    const isCounted = ({ unread, last }) => unread || ids.includes(last?.id);
    if ([...state.chats.values()].some(isCounted)) doubt();
  },
  edited({ to, ...fields }) {
    change(fields.id, fields);
    for (const chat of state.chats.values()) {
      if (chat.last?.id === fields.id) chat.last = { ...chat.last, ...fields };
    }
  },
  reaction({ message: id, user, emoji, on, count, first }) {
    const all = find(id)?.reactions ?? [];
    const mine = isMe(user) ? on : Boolean(all.find((one) => one.emoji === emoji)?.mine);
    const others = all.filter((one) => one.emoji !== emoji);
    const now = count ? [...others, { emoji, count, mine, first }].sort((a, b) => a.first - b.first) : others;
    change(id, { reactions: now.length ? now : undefined });
  },
  delivered({ messages }) {
    for (const { id, ...fields } of messages) change(id, fields);
  },
  read({ chat: address, upto }) {
    const chat = state.chats.get(address);
    if (!chat) return doubt();
    const { list, later, since } = state.histories.get(address) ?? { since: Infinity };
    const { read } = chat;
    chat.read = upto;
    chat.calls = chat.calls.filter((id) => id > upto);
    if (upto >= chat.top) chat.unread = 0;
    else if (!later && list?.[0]?.id <= upto) chat.unread = countOthers(list, upto);
    else if (since <= read && upto <= list.at(-1)?.id) chat.unread -= countOthers(list.filter(({ id }) => id <= upto), read);
    else doubt();
  },
  client({ id, live, ...about }) {
    if (live) state.clients.set(id, { id, seen: about.since, ...about });
    else state.clients.delete(id);
  },
  user({ name, online }) {
    meet(name, { online, seen: new Date().toISOString() });
  },
  comment(comment, isLate) {
    const { message } = comment;
    takeComment(comment);
    meet(comment.from);
    own(`#${message}`, comment);
    // One that came while its message was asked for may be counted there already.
    if (isLate) get(`/messages/${message}`).then((now) => { change(message, now); changed(); }, () => {});
    else change(message, { comments: (find(message)?.comments ?? 0) + 1 });
  },
  room(room) {
    const known = state.rooms.get(room.room);
    state.rooms.set(room.room, { ...known, ...room });
    if (!room.members) return;
    const chat = state.chats.get(room.room) ?? { chat: room.room, kind: "room", unread: 0, read: 0, calls: [], last: null, top: 0 };
    state.chats.set(room.room, { ...chat, title: room.title });
    // The past of a room is told by no event.
    if (!known && room.history === "all") doubt();
  },
  joined({ room: address, user }) {
    meet(user);
    if (isMe(user)) state.invites.delete(address);
    else settle(address, user, (room) => [...room.members.filter((one) => one !== user), user]);
  },
  left({ room: address, user, owner, removed }) {
    if (isMe(user)) {
      dispatchEvent(new CustomEvent("lost", { detail: { address, removed } }));
      for (const map of [state.rooms, state.chats, state.histories]) map.delete(address);
    } else {
      settle(address, user, (room) => room.members.filter((one) => one !== user));
      const room = state.rooms.get(address);
      if (room && owner) room.owner = owner;
    }
  },
  invited(invite) {
    if (isMe(invite.user)) state.invites.set(invite.room, invite);
    else add(invite.room, "invites", invite);
  },
  join_request(request) {
    if (request.user) {
      meet(request.user);
      add(request.room, "requests", request);
      const asks = () => state.rooms.get(request.room)?.requests?.some(({ user }) => user === request.user);
      noticeWhile(asks, name(request.user), " asks to come into ", name(request.title), ".");
    }
    else if (request.state === "pending") state.asked.set(request.at, { at: request.at, title: request.title });
    else decide(request, "in", "You are let into ", name(request.title), ".");
  },
  refused(refusal) {
    const { room: address, title, of, user } = refusal;
    if (of === "invite" && (!user || isMe(user))) state.invites.delete(address);
    else if (user) without(state.rooms.get(address), of === "invite" ? "invites" : "requests", user);
    else decide(refusal, "refused", "Your request to come into ", name(title), " was refused.");
  },
  hook(hook) {
    state.hooks.set(hook.id, hook);
    meetBot(hook.name);
  },
  hook_removed: ({ id }) => state.hooks.delete(id),
  subscription: (one) => state.subscriptions.set(one.id, one),
  subscription_state({ id, state: how, failure }) {
    const one = state.subscriptions.get(id);
    if (!one) return;
    state.subscriptions.set(id, { ...one, state: how, failure });
    if (how === "off") noticeWhile(() => state.subscriptions.get(id)?.state === "off", "Your subscription to ", name(one.url), " is off: it failed for too long.");
  },
  subscription_removed: ({ id }) => state.subscriptions.delete(id),
  cancelled: ({ id }) => state.scheduled.delete(id),
  scheduled_forgotten: ({ id }) => state.scheduled.delete(id),
};
for (const name of ["scheduled", "scheduled_sent", "scheduled_failed"]) {
  events[name] = (one) => state.scheduled.set(one.id, { ...state.scheduled.get(one.id), ...one });
}
for (const name of ["warned", "warning_ended", "banned", "unbanned"]) {
  events[name] = (standing) => (state.user.complaints = standing);
}

/** A request of one's own is decided, and every tab says so. */
function decide({ asked: at, title }, decided, ...words) {
  state.asked.set(at, { at, title, decided });
  notice(...words);
}

function take({ event, data }, isLate = false) {
  events[event]?.(data, isLate);
}

function without(room, part, user) {
  if (room?.[part]) room[part] = room[part].filter((one) => one.user !== user);
}

function add(address, part, one) {
  const room = state.rooms.get(address);
  without(room, part, one.user);
  room?.[part]?.push(one);
}

/** Changes who is in a room; whoever is in it waits no more. */
function settle(address, user, members) {
  const room = state.rooms.get(address);
  if (!room?.members) return;
  without(room, "invites", user);
  without(room, "requests", user);
  room.members = members(room);
}
