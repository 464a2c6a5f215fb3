/** Rooms: making one, who is in it, inviting, links, and who asks to come in. */
import { el, keyed, moment } from "./dom.js";
import { post, remove } from "./net.js";
import { chatOf, isMe, notice, state } from "./store.js";
import { action, close, form, open } from "./sheet.js";
import { hashOf } from "./chats.js";

const pathOf = (address) => `/rooms/${address.slice(5)}`;
const owned = () => [...state.rooms.values()].filter(({ owner }) => isMe(owner));

export function newRoom() {
  return el("details", el("summary", "New room"), form([
    el("label", "Title", el("input", { name: "title", required: true, maxlength: 100 })),
    el("label.check", el("input", { type: "checkbox", name: "all" }), "Who comes in later sees what was written before"),
  ], "Make the room", async ({ title, all }) => {
    const { room } = await post("/rooms", { title, history: all ? "all" : "joined" });
    close();
    location.hash = hashOf(room);
  }));
}

/** Invites somebody to a room of one's own. */
export function inviteTo(name) {
  const rooms = owned().filter(({ members }) => !members.includes(name));
  if (!rooms.length) return "";
  const choice = el("select", { name: "room" }, rooms.map(({ room, title }) => el("option", { value: room }, title)));
  return form([el("label", "Invite to a room", choice)], "Invite", async ({ room }) => {
    await post(`${pathOf(room)}/invites`, { user: name });
    close();
    notice(`${name} is invited to ${chatOf(room).title}.`);
  });
}

export function showRoom(address) {
  const path = pathOf(address);
  open(chatOf(address).title, (body) => {
    const parts = Object.fromEntries(["requests", "members", "invites", "links"].map((part) => [part, el("ul.people")]));
    const isOwner = () => isMe(state.rooms.get(address)?.owner);
    const made = el("p.made");
    const forOwner = el("div", section("Invited", parts.invites),
      form([el("label", "Invite", el("input", { name: "user", required: true, list: "known", autocapitalize: "none" })),
        el("datalist", { id: "known" }, [...state.users.keys()].map((name) => el("option", { value: name })))], "Invite", async ({ user }, node) => {
        await post(`${path}/invites`, { user });
        node.reset();
      }, { class: "line" }),
      section("Links", parts.links), made,
      form([el("label", "Works for", el("select", { name: "expires" }, [["", "ever"], ["1h", "an hour"], ["1d", "a day"], ["7d", "a week"]].map(([value, label]) => el("option", { value }, label)))),
        el("label", "Lets in", el("select", { name: "uses" }, ["", 1, 5, 25].map((uses) => el("option", { value: uses }, uses || "any"))))], "Make a link", async ({ expires, uses }) => {
        const { url } = await post(`${path}/links`, { ...(expires && { expires }), ...(uses && { uses: Number(uses) }) });
        const address = new URL(url, location.origin).href;
        const field = el("input", { readonly: true, value: address, "aria-label": "The link", onfocus: () => field.select() });
        made.replaceChildren("Copy it now, it is shown only once. You approve whoever comes by it.", field,
          action("Copy", async () => {
            field.select();
            await (navigator.clipboard?.writeText(address) ?? document.execCommand("copy"));
            notice("The link is copied.");
          }));
      }, { class: "line" }),
      action("Revoke every link", async () => {
        await remove(`${path}/links`);
        made.replaceChildren();
      }));
    body.append(section("Who asks to come in", parts.requests), section("Members", parts.members), forOwner, leave(address, path));
    function update() {
      const room = state.rooms.get(address);
      if (!room) return close();
      forOwner.hidden = !isOwner();
      const member = ([name]) => el("li", el("span.name", name, name === room.owner && el("small", " owner")),
        isOwner() && !isMe(name) && action("Remove", () => remove(`${path}/members/${encodeURIComponent(name)}`), { "aria-label": `Remove ${name}` }));
      const request = ({ user }) => el("li", el("span.name", user), ...[true, false].map((approve) =>
        action(approve ? "Let in" : "Refuse", () => post(`${path}/requests/${encodeURIComponent(user)}`, { approve }), { class: approve ? "main" : null, "aria-label": `${approve ? "Let in" : "Refuse"} ${user}` })));
      const invite = ({ user }) => el("li", el("span.name", user),
        action("Take back", () => remove(`${path}/invites/${encodeURIComponent(user)}`), { "aria-label": `Take back the invitation of ${user}` }));
      const link = ({ at, expires, uses }) => el("li", el("span", `Made ${moment(at)}`),
        el("small", [expires ? `until ${moment(expires)}` : "no end", uses == null ? "for any number" : `for ${uses} more`].join(", ")));
      const list = (part, view, key) => keyed(parts[part], (room[part] ?? []).map((one) => [key(one), one, view]));
      keyed(parts.members, room.members.map((name) => [name, [name, room.owner], member]));
      list("requests", request, ({ user }) => user);
      list("invites", invite, ({ user }) => user);
      list("links", link, ({ at }) => at);
    }
    update();
    return update;
  });
}

/** A list with its heading, hidden while it is empty. */
function section(title, list) {
  return el("section", el("h3", title), list);
}

function leave(address, path) {
  const note = state.rooms.get(address)?.members.length > 1 ? "To come back you need an invitation or a link." : "You are the last one: the room and its messages end.";
  return el("details", el("summary", "Leave the room"), el("p.hint", note), action("Leave", async () => {
    await post(`${path}/leave`);
    close();
    location.hash = "";
  }, { class: "danger" }));
}

/** The address of a link was opened: asks only when told to. */
export function showJoin(code) {
  open("You are invited", (body) => {
    body.append(el("p", "Somebody gave you the link to a room. Its owner will see your name, and let you in or not."),
      action("Ask to come in", async () => {
        const { title } = await post(`/join/${code}`);
        body.replaceChildren(el("p", { role: "status" }, `You asked to come into ${title}. It appears among your chats when its owner lets you in.`), action("Close", close));
      }, { class: "main" }));
  });
}

/** How many wait to be let into a room. */
export const waitingAt = (address) => state.rooms.get(address)?.requests?.length ?? 0;
