/** Oneself: how one stands, what calls one, one's programs and clients, and signing out. */
import { el, keyed, moment, period, say } from "./dom.js";
import { post, session } from "./net.js";
import { allowance, bannedUntil, has, state } from "./store.js";
import { waiting } from "./outbox.js";
import { action, open, page } from "./sheet.js";
import { showMentions } from "./find.js";
import { showHooks, showSubscriptions } from "./programs.js";

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
    const mentions = action("", showMentions);
    body.append(standing, el("div.choices", has("mentions") && mentions, has("webhooks") && action("Hooks", showHooks),
      has("subscriptions") && action("Subscriptions", showSubscriptions)), el("section", el("h3", "Where you are connected"), list), lost,
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
      const calls = [...state.chats.values()].reduce((all, chat) => all + chat.calls.length, 0);
      say(mentions, calls ? `Mentions (${calls} unread)` : "Mentions");
      const unsent = waiting().length;
      // Who connected before the page kept it is told nothing.
      const isBound = session()?.hasPassword === false;
      say(lost, unsent ? `What is not sent yet (${unsent}) is lost when you sign out.` : isBound ? "This name has no password: it is lost when its last client is signed out." : "");
      keyed(list, [...state.clients.values()].map((one) => [one.id, one, view]));
    };
  }, ["you"]);
});
