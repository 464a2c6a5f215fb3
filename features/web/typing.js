/** Who is writing: telling the others that one is, and showing who of them is. */
import { name } from "./dom.js";
import { post } from "./net.js";
import { addressOf, changed, has, isMe } from "./store.js";

/** How long somebody is shown as writing after it was told, in milliseconds. */
const SHOWN = 6000;
/** How often it is told while one writes. */
const EVERY = 3000;
/** By address, the names of those who write there and until when it is shown. */
const writing = new Map();
const told = { address: "", at: 0 };

/** One writes into the field of a chat. */
export function tellTyping(address) {
  if (!has("presence") || (told.address === address && Date.now() - told.at < EVERY)) return;
  Object.assign(told, { address, at: Date.now() });
  // Whether it arrives is of no weight.
  post("/typing", { to: address }).catch(() => {});
}

/** The server says that somebody writes. */
export function heardTyping(event) {
  if (isMe(event.from)) return;
  const address = addressOf(event);
  if (!writing.has(address)) writing.set(address, new Map());
  writing.get(address).set(event.from, Date.now() + SHOWN);
  setTimeout(changed, SHOWN);
}

/** What somebody wrote is there, and what oneself wrote is sent. */
export function stoppedTyping(message) {
  if (isMe(message.from)) told.at = 0;
  else writing.get(addressOf(message))?.delete(message.from);
}

/** Who writes in a chat, in words, or null. */
export function typists(address) {
  const names = [...(writing.get(address) ?? [])].filter(([, until]) => until > Date.now()).map(([one]) => one);
  if (names.length > 2) return ["Several people are writing\u2026"];
  const [one, two] = names.map(name);
  return one ? [one, ...(two ? [" and ", two, " are"] : [" is"]), " writing\u2026"] : null;
}
