/**
 * What is held of the messages of a chat, oldest first: one stretch without a gap, `{list, more, later, since, stretch}`.
 * It has all after the id `since`, up to its end; `more` and `later` say whether there are older and newer ones. One that is
 * fetched in its place has another number, `stretch`.
 */
import { get } from "./net.js";
import { chatOf, countOthers, isMe, meanwhile, meetBots, state } from "./store.js";

/** So many messages are fetched at once. */
const PAGE = 50;
/** So many unread are fetched at opening, with all after them; where there are more, one begins with the first of them. */
const NEAR = 500;
let stretches = 0;

async function ask(address, query, limit = PAGE) {
  const page = await get(`/messages?chat=${encodeURIComponent(address)}&limit=${limit}${query}`);
  meetBots(page.messages);
  return page;
}

function hold(address, list, more, later, stretch = (stretches += 1)) {
  state.histories.set(address, { list, more, later, since: more ? (list[0]?.id ?? 1) - 1 : 0, stretch });
}

/** The newest, back to where the unread begin. */
async function newest(address) {
  let list = [];
  let { unread } = chatOf(address);
  if (unread > NEAR) unread = 0;
  let more;
  do {
    const page = await ask(address, list.length ? `&before=${list[0].id}` : "", Math.min(200, PAGE + unread));
    list = [...page.messages, ...list];
    unread -= countOthers(page.messages);
    ({ more } = page);
  } while (more && unread > 0 && list.length < 4 * NEAR);
  hold(address, list, more, false);
}

async function around(address, id) {
  const [before, after] = await Promise.all([ask(address, `&before=${id + 1}`), ask(address, `&after=${id}`)]);
  hold(address, [...before.messages, ...after.messages], before.more, after.more);
}

/** What is `older` or `later` than what is held; the `newest` or what is around an id, in its place; or that with which one begins. */
export const fetchHistory = (address, where) => meanwhile(async () => {
  const { list, more, later, stretch } = state.histories.get(address) ?? {};
  const { unread, read } = chatOf(address);
  if (where === "older" || where === "later") {
    const isOlder = where === "older";
    const page = await ask(address, isOlder ? `&before=${list[0].id}` : `&after=${list.at(-1).id}`);
    const now = state.histories.get(address);
    // It may have been left meanwhile.
    if (now?.stretch !== stretch) return;
    if (isOlder) hold(address, [...page.messages, ...now.list], page.more, later, stretch);
    else hold(address, [...now.list, ...page.messages], more, page.more, stretch);
  } else if (where > 0) await around(address, where);
  else if (!where && unread > NEAR) await around(address, read);
  else await newest(address);
});

/** Whether the unread begin `above` or `below` what is held, so that they are not all there from the first on. */
export function whereUnread(address) {
  const { list, later, since } = state.histories.get(address) ?? { list: [] };
  const { unread, read } = chatOf(address);
  if (!unread || !list.length) return "";
  if (later && list.at(-1).id < read) return "below";
  // One's own posts move no mark: there may be many after it.
  return since > read && (later || countOthers(list, read) < unread) ? "above" : "";
}

/** The first message that is unread: 0 where there is none, null where it is not held. */
export function firstUnread(address) {
  const { unread, read } = chatOf(address);
  if (!unread || whereUnread(address)) return unread && null;
  const { list, later } = state.histories.get(address);
  return list.find(({ id, from }) => id > read && !isMe(from))?.id ?? (later ? null : 0);
}

/** Drops what is far up in a chat that is no longer looked at, or all where that is not its end. */
export function trim(address) {
  const { list, later, stretch } = state.histories.get(address) ?? {};
  if (later) state.histories.delete(address);
  else if (list?.length > 4 * PAGE) hold(address, list.slice(-2 * PAGE), true, false, stretch);
}
