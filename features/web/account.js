/** Oneself: how one stands, one's clients and hooks, and signing out. */
import { el, keyed, moment, name as called, period, say } from "./dom.js";
import { post, remove, session } from "./net.js";
import { allowance, bannedUntil, has, state } from "./store.js";
import { waiting } from "./outbox.js";
import { action, form, open, page } from "./sheet.js";
import { titleOf } from "./chats.js";
import { choice, copied } from "./groups.js";

/** The programs that people know, by what they call themselves. */
const NAMES = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
const SYSTEMS = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"];

function program(agent = "") {
  const name = NAMES.find(([mark]) => agent.includes(mark))?.[1];
  const system = SYSTEMS.find((one) => agent.includes(one));
  return name ? [name, system].filter(Boolean).join(" on ") : agent || "a program";
}

const signOut = () => dispatchEvent(new Event("signout"));

export const showAccount = page("you", () => {
  open(state.me, (body) => {
    const standing = el("p");
    const list = el("ul.people");
    const lost = el("p.hint");
    body.append(standing, has("webhooks") ? action("Hooks", showHooks) : "", el("section", el("h3", "Where you are connected"), list), lost,
      action("Sign out here", () => post("/disconnect").then(signOut), { class: "main" }),
      action("Sign out everywhere", () => post("/disconnect", { all: true }).then(signOut), { class: "danger" }));
    const view = ({ id, agent, since, seen }) => el("li",
      el("span.name", program(agent), id === session()?.client && el("small", " this one")),
      el("small", `since ${moment(since)}, seen ${moment(seen)}`),
      id !== session()?.client && action("Sign out", () => post("/disconnect", { client: id }), { "aria-label": `Sign out ${program(agent)}` }));
    return () => {
      const { complaints } = state.user;
      const limit = allowance();
      say(standing,
        bannedUntil() && `You may not post until ${moment(bannedUntil())}. `,
        complaints?.warnings > 0 && `You have ${complaints.warnings} of ${complaints.limit} warnings. `,
        limit && `${limit.left} of ${limit.messages} messages to everyone are left`,
        limit?.until && [" ", period(Date.parse(limit.until))], limit && ".");
      const unsent = waiting().length;
      // Who connected before the page kept it is told nothing.
      const isBound = session()?.hasPassword === false;
      say(lost, unsent ? `What is not sent yet (${unsent}) is lost when you sign out.` : isBound ? "This name has no password: it is lost when its last client is signed out." : "");
      keyed(list, [...state.clients.values()].map((one) => [one.id, one, view]));
    };
  }, ["you"]);
});

/** Where a hook can post to, by address. */
const places = () => [
  ...[...state.chats.values()].filter(({ kind }) => kind !== "private").map((chat) => [chat.chat, titleOf(chat)]),
  ["@me", "Yourself"],
];

const showHooks = page("hooks", () => {
  open("Hooks", (body) => {
    const list = el("ul.people");
    // The address goes into the settings of the program that posts, and is kept nowhere.
    const made = el("div");
    body.append(el("p.hint", "Programs that can post to Slack post here, by the secret address of a hook."), list, made, form([
      el("label", "Posts as", el("input", { name: "name", required: true, maxlength: 32, autocapitalize: "none" })),
      choice("Posts to", "to", places()),
    ], "Make a hook", async (values, node) => {
      const { url } = await post("/hooks", values).catch((problem) => {
        // What is said of a taken name at the door is not true here.
        if (problem.code === "name_taken") problem.code = "";
        throw problem;
      });
      const [field, copy] = copied(location.origin + url, `The address of ${values.name}`);
      made.replaceChildren(field, el("p.hint", "It is shown only now: copy it before you close this."), copy);
      node.reset();
      field.focus();
    }));
    return () => keyed(list, [...state.hooks.values()].map((hook) => [hook.id, { ...hook, place: new Map(places()).get(hook.to) }, hookView]));
  }, ["hooks"]);
});

/** A hook to a room that one is not in posts nothing, and the title is not known. */
const hookView = ({ id, name, place, at }) => el("li",
  el("span.name", called(name), el("small", "To ", called(place ?? "a room"), `, since ${moment(at)}`), !place && el("small.error", "It does not work: you are not there.")),
  action("Remove", () => askRemove(id, name), { "aria-label": `Remove the hook ${name}` }));

const askRemove = (id, name) => open("Remove this hook?", (body) => body.append(
  el("p.hint", "What posts by it as ", called(name), " is refused from then on."),
  action("Remove", () => remove(`/hooks/${id}`).then(showHooks), { class: "main" })));
