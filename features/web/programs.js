/** Programs: hooks, by which they post here, and subscriptions, by which they are told. One's own are listed, made and removed. */
import { el, keyed, moment, name as called } from "./dom.js";
import { post, remove } from "./net.js";
import { state } from "./store.js";
import { action, form, open, page } from "./sheet.js";
import { titleOf } from "./chats.js";
import { choice, copied } from "./groups.js";

/** The chats that anybody may be in, by address, with `last` for what is one's own. */
const places = (own, isAll) => [
  ...[...state.chats.values()].filter(({ kind, title }) => kind !== "private" || (isAll && title !== state.me)).map((chat) => [chat.chat, titleOf(chat)]),
  ["@me", own],
];

/**
 * A sheet that lists what one has of a kind and makes more of it, which has a secret. That goes into the settings of a program, is
 * shown once and kept nowhere: `make` gives it, and what it is.
 */
const sheet = (kind, title, hint, fields, label, make, entries) => page(kind, () => open(title, (body) => {
  const list = el("ul.people.programs");
  const made = el("div");
  body.append(el("p.hint", hint), list, made, form(fields(), label, async (values, node) => {
    const [field, copy] = copied(...(await make(values)));
    made.replaceChildren(field, el("p.hint", "It is shown only now: copy it before you close this."), copy);
    node.reset();
    field.focus();
  }));
  return () => keyed(list, entries());
}, [kind]));

const askRemove = (title, words, path, back) => open(title, (body) => body.append(
  el("p.hint", words), action("Remove", () => remove(path).then(back), { class: "main" })));

export const showHooks = sheet("hooks", "Hooks", "Programs that can post to Slack post here, by the secret address of a hook.", () => [
  el("label", "Posts as", el("input", { name: "name", required: true, maxlength: 32, autocapitalize: "none" })),
  choice("Posts to", "to", places("Yourself")),
], "Make a hook", async (values) => {
  const { url } = await post("/hooks", values).catch((problem) => {
    // What is said of a taken name at the door is not true here.
    if (problem.code === "name_taken") problem.code = "";
    throw problem;
  });
  return [location.origin + url, `The address of ${values.name}`];
}, () => [...state.hooks.values()].map((hook) => [hook.id, { ...hook, place: new Map(places("Yourself")).get(hook.to) }, hookView]));

/** A hook to a room that one is not in posts nothing, and the title is not known. */
const hookView = ({ id, name, place, at }) => el("li",
  el("span.name", called(name), el("small", "To ", called(place ?? "a room"), `, since ${moment(at)}`), !place && el("small.error", "It does not work: you are not there.")),
  action("Remove", () => askRemove("Remove this hook?", ["What posts by it as ", called(name), " is refused from then on."], `/hooks/${id}`, showHooks),
    { "aria-label": `Remove the hook ${name}` }));

export const showSubscriptions = sheet("subscriptions", "Subscriptions", "What is said in a chat is posted to a program, signed, as Standard Webhooks.", () => [
  choice("What is said in", "chat", places("Your notebook", true)),
  el("label", "Is posted to", el("input", { name: "url", type: "url", required: true, maxlength: 2048, placeholder: "https://" })),
], "Subscribe", async (values) => [(await post("/subscriptions", values)).secret, `The secret of ${values.url}`],
() => [...state.subscriptions.values()].map((one) => [one.id, { ...one, place: placeOf(one.chat) }, subscriptionView]));

/** A private chat may have nothing in it yet. */
const placeOf = (chat) => new Map(places("Your notebook", true)).get(chat) ?? (chat.startsWith("@") ? chat.slice(1) : null);

/** Why a program was not told, in words. */
const WHY = {
  unresolved: "its name has no address",
  private: "its address is not a public one",
  unreachable: "nothing takes connections there",
  tls: "its certificate is not trusted",
  timeout: "it did not answer in time",
  protocol: "what came is no answer of HTTP",
  internal: "this server failed",
};

/** How a subscription stands, where it does not work. */
function standing({ place, state: how, failure }) {
  if (!place) return "It does not work: you are not there.";
  if (!failure) return null;
  const why = WHY[failure.reason] ?? `it answered ${failure.status}`;
  if (how === "off") return `It is off, as it failed since ${moment(failure.since)}: ${why}.`;
  return `It fails since ${moment(failure.since)}: ${why}. It is tried again ${moment(failure.next)}.`;
}

function subscriptionView(one) {
  const { id, url, at, place, failure, state: how } = one;
  const again = how === "off" ? "Switch on" : "Try now";
  return el("li",
    el("span.name", called(url), el("small", "What is said in ", called(place ?? "a room"), `, since ${moment(at)}`), el("small.error", standing(one))),
    failure && action(again, () => post(`/subscriptions/${id}/on`), { "aria-label": `${again} the subscription of ${url}` }),
    action("Remove", () => askRemove("Remove this subscription?", ["Nothing more is posted to ", called(url), " by it."], `/subscriptions/${id}`, showSubscriptions),
      { "aria-label": `Remove the subscription of ${url}` }));
}
