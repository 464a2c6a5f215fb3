/** Rooms: making one, who is in it, inviting, links, and who asks to come in. */
import { $, el, keyed, moment, name, say, span } from "./dom.js";
import { post, remove } from "./net.js";
import { begin, changed, chatOf, has, isBot, isMe, notice, noticeWhile, roomCalled, state } from "./store.js";
import { draft, editing, entry, keepEditing, places, rescue } from "./outbox.js";
import { action, close, form, open, page, retitle } from "./sheet.js";
import { titleOf } from "./chats.js";
import { showPerson } from "./people.js";
import { go, hashOf } from "./place.js";

const pathOf = (address) => `/rooms/${address.slice(5)}`;
const owned = () => [...state.rooms.values()].filter(({ owner }) => isMe(owner));

export function newRoom() {
  return el("details", el("summary", "New room"), form([
    el("label", "Title", el("input", { name: "title", required: true, maxlength: 100 })),
    el("label.check", el("input", { type: "checkbox", name: "all" }), "Who comes in later sees what was written before"),
  ], "Make the room", async ({ title, all }) => {
    const { room } = await post("/rooms", { title, history: all ? "all" : "joined" });
    go(room);
  }));
}

/** Invites somebody to a room of one's own. */
export function inviteTo(user) {
  const rooms = owned().filter(({ members }) => !members.includes(user));
  if (!rooms.length) return "";
  return form([choice("Invite to a room", "room", rooms.map(({ room, title }) => [room, title]))], "Invite", async ({ room }) => {
    await post(`${pathOf(room)}/invites`, { user });
    close();
    noticeWhile(() => state.rooms.get(room)?.invites?.some((one) => one.user === user), name(user), " is invited to ", name(chatOf(room).title), ".");
  });
}

/** The codes of the links that were made in this browser, by when: the server keeps none that it could tell. */
const codes = (address) => JSON.parse(localStorage.getItem(entry("links", address))) ?? {};

function keepCode(address, { at, link }) {
  const alive = Object.entries(codes(address)).filter(([made]) => state.rooms.get(address)?.links?.some((one) => one.at === made));
  localStorage.setItem(entry("links", address), JSON.stringify({ ...Object.fromEntries(alive), [at]: link }));
}

/** A field with what is to be copied, and the button for it. */
export function copied(value, label) {
  const field = el("input", { readonly: true, value, "aria-label": label, onfocus: () => field.select() });
  return [field, action("Copy", async () => {
    field.select();
    await (navigator.clipboard?.writeText(value) ?? document.execCommand("copy"));
    notice("It is copied.");
  })];
}

/** A choice among `options`, `[value, words]` each. */
export const choice = (label, key, options) =>
  el("label", label, el("select", { name: key }, options.map(([value, words]) => el("option", { value }, words))));

export const showRoom = page("room", (address) => {
  const path = pathOf(address);
  const pathTo = (part, user) => `${path}/${part}/${encodeURIComponent(user)}`;
  open(titleOf(chatOf(address)), (body) => {
    const lists = Object.fromEntries(["requests", "members", "invites", "links"].map((part) => [part, el("ul.people")]));
    const isOwner = () => isMe(state.rooms.get(address)?.owner);
    const elsewhere = el("p.hint", "A link that was made in another browser, or before signing out here, can be revoked only together with all others.");
    const all = action("Revoke every link", () => remove(`${path}/links`));
    const known = el("datalist", { id: "known" }, [...state.users.keys()].filter((one) => !isBot(one)).map((value) => el("option", { value })));
    const invite = form([el("label", "Invite", el("input", { name: "user", required: true, list: "known", autocapitalize: "none" })), known], "Invite", async ({ user }, node) => {
      await post(`${path}/invites`, { user });
      node.reset();
    }, { class: "line" });
    const link = form([
      choice("Works for", "expires", [["", "ever"], ["1h", "an hour"], ["1d", "a day"], ["7d", "a week"]]),
      choice("Lets in", "uses", [["", "any"], [1, 1], [5, 5], [25, 25]]),
    ], "Make a link", async ({ expires, uses }) => {
      keepCode(address, await post(`${path}/links`, { ...(expires && { expires }), ...(uses && { uses: Number(uses) }) }));
      notice("The link is ready to copy.");
      changed();
    }, { class: "line" });
    const forOwner = el("div", section("Invited", lists.invites), invite, section("Links", lists.links), elsewhere, link,
      el("p.hint", "You approve whoever comes by a link."), all);
    body.append(section("Who asks to come in", lists.requests), section("Members", lists.members), forOwner, leave(address, path));

    const views = {
      members: ({ user, owner }) => el("li", el("span.name", isMe(user) ? name(user) : el("button.quiet", { type: "button", onclick: () => showPerson(user) }, name(user)), user === owner && el("small", " owner")),
        isOwner() && !isMe(user) && action("Remove", () => remove(pathTo("members", user)), { "aria-label": `Remove ${user}` })),
      requests: ({ user }) => el("li", el("span.name", name(user)), [["Let in", true, "main"], ["Refuse", false]].map(([label, approve, kind]) =>
        action(label, () => post(pathTo("requests", user), { approve }), { class: kind, "aria-label": `${label} ${user}` }))),
      invites: ({ user }) => el("li", el("span.name", name(user)),
        action("Take back", () => remove(pathTo("invites", user)), { "aria-label": `Take back the invitation of ${user}` })),
      links({ at, expires, uses, code }) {
        const [url, copy] = code ? copied(`${location.origin}/join/${code}`, `The link made ${moment(at)}`) : [];
        return el("li", url, el("small.grow", `Made ${moment(at)}, ${expires ? `until ${moment(expires)}` : "no end"}, ${uses == null ? "for any number" : `for ${uses} more`}`),
          code && [copy, action("Revoke", () => remove(pathTo("links", code)), { "aria-label": `Revoke the link made ${moment(at)}` })]);
      },
    };
    return () => {
      const room = state.rooms.get(address);
      if (!room) return close();
      const own = codes(address);
      const links = (room.links ?? []).map((one) => ({ ...one, code: own[one.at] }));
      forOwner.hidden = !isOwner();
      all.hidden = !links.length;
      elsewhere.hidden = links.every(({ code }) => code);
      const members = room.members.map((user) => ({ user, owner: room.owner }));
      for (const [part, some] of Object.entries({ ...room, members, links })) {
        if (lists[part]) keyed(lists[part], some.map((one) => [one.user ?? one.at, one, views[part]]));
      }
    };
  }, ["room", address]);
});

/** One is in a room no more: what was written for it is a draft in the notebook. */
function lose(address, words) {
  const notebook = `@${state.me}`;
  const changing = editing(address);
  const isChanged = changing && draft(`=${changing.id}`).text !== changing.text;
  const ids = (state.histories.get(address)?.list ?? []).map(({ id }) => `#${id}`);
  const isKept = rescue([address, ...ids, ...(isChanged ? [`=${changing.id}`] : [])], notebook);
  keepEditing(address, null);
  if (isKept) begin(notebook);
  const tell = () => notice(...words, ...(isKept ? [" What you wrote there is a draft in ", el("a", { href: hashOf(notebook) }, "your notebook"), " now."] : []));
  if (state.open !== address) return tell();
  // What is told is over where one goes on. Who was typing types on where that is nobody else's, or nowhere.
  addEventListener("moved", () => {
    tell();
    if (!isKept) $("title").focus();
  }, { once: true });
  // The browser may go back only later, and nothing is asked for meanwhile that is another's now.
  state.open = "";
  go(isKept ? notebook : "", true);
}

addEventListener("lost", ({ detail: { address, removed } }) =>
  lose(address, [removed ? "You were removed from " : "You left ", name((state.rooms.get(address) ?? chatOf(address)).title), "."]));

/** What is written for chats that are not there, after all was asked for anew. */
export function findLost() {
  for (const address of places()) {
    if (address.startsWith("@")) begin(address);
    else if (address.startsWith("room:") && !state.chats.has(address)) lose(address, ["You are no longer in a room that you wrote to."]);
  }
}

/** A list with its heading, hidden while it is empty. */
function section(title, list) {
  return el("section", el("h3", title), list);
}

function leave(address, path) {
  const note = state.rooms.get(address)?.members.length > 1 ? "To come back you need an invitation or a link." : "You are the last one: the room and its messages end.";
  return el("details", el("summary", "Leave the room"), el("p.hint", note), action("Leave", async () => {
    await post(`${path}/leave`);
    go("", true);
  }, { class: "danger" }));
}

/** The room that a link made in this browser leads to, while it leads there. */
const roomOf = (code) => [...state.rooms.values()].find(({ room, links }) => links?.some(({ at, expires }) => codes(room)[at] === code && !(Date.parse(expires) <= Date.now())));

/** What is so with a link that lets nobody ask: its heading, and what there is to do. */
const DEAD = {
  unknown_link: ["This link does not work", "It is mistyped, or it was revoked, has ended, or has let in as many as it may. Whoever gave it to you can make another one."],
  refused: ["The owner said no", "Whoever owns the room did not let you in."],
};

/** The address of a link was opened: asks only when told to, and then says what comes of it. */
export const showJoin = page("join", (code) => {
  if (!has("rooms")) return open("No rooms here", (body) => body.append(el("p", "This server has no rooms, so the link leads nowhere.")), ["join", code]);
  open("A link to a room", (body) => {
    const line = el("p", { role: "status" }, "Its owner will see your name, and let you in or not.");
    let title;
    let older;
    const ask = action("Ask to come in", async () => {
      older = [...state.asked.values()].filter(({ decided }) => decided).map(({ at }) => at);
      try {
        ({ title } = await post(`/join/${code}`));
      } catch (problem) {
        if (problem.code === "already_member") return inside(problem.room);
        const [heading, words] = DEAD[problem.code] ?? [];
        if (!heading) throw problem;
        retitle(heading);
        say(line, words, problem.wait ? ` You may ask again in ${span(problem.wait)}.` : "");
      }
      ask.remove();
      changed();
    }, { class: "main" });
    let inRoom;
    const enter = action("Open the room", () => go(inRoom ?? roomCalled(title)), { class: "main" });
    /** One is in it already. */
    function inside(room) {
      const { owner, title: called } = state.rooms.get(room) ?? {};
      retitle(isMe(owner) ? "A link to your own room" : "You are in this room");
      say(line, isMe(owner) ? ["It leads to ", name(called), ". Give it to whoever is to come in: they ask, and you let them in or not."] : ["It leads to ", name(called), "."]);
      inRoom = room;
      ask.replaceWith(enter);
      enter.focus();
    }
    body.append(line, ask);
    ask.focus();
    const own = roomOf(code);
    if (own) inside(own.room);
    return () => {
      if (!title) return;
      const { decided } = [...state.asked.values()].findLast((one) => one.title === title && !older.includes(one.at)) ?? {};
      retitle(decided === "in" ? "You are in" : decided ? "The owner said no" : "You asked to come in");
      if (decided === "in") say(line, "You are let into ", name(title), ".");
      else if (decided) say(line, "The owner of ", name(title), " said no.");
      else say(line, "You asked to come into ", name(title), ". Here you will see what its owner says; you may close this meanwhile.");
      if (decided === "in" && roomCalled(title) && !enter.isConnected) {
        body.append(enter);
        if (!body.contains(document.activeElement)) enter.focus();
      }
    };
  }, ["join", code]);
});
