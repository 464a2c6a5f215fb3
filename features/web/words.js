/** What the server refuses, in words for people: its own `detail` is for those who write programs. */
import { moment, size, span } from "./dom.js";

const WORDS = {
  offline: "The server can't be reached.",
  name_taken: "This name is taken and has no password, so nobody can come in under it from here. Choose another name.",
  no_password: "This name is taken and has a password. Type it, or choose another name.",
  wrong_password: "This name is taken, and that is not its password. Type its password, or choose another name.",
  too_many_guesses: "Too many wrong passwords.",
  "invalid name": "A name has 1 to 32 letters or digits of any script, and - _ . between them. “me” is not one.",
  "invalid password": "This password is too long.",
  "invalid at": "Choose a time that is yet to come, and not too far ahead.",
  "invalid emoji": "That is not one emoji.",
  "invalid url": "This address can't be called: it begins with https:// or http://, and has no user in it.",
  unknown_chat: "There is nobody of that name, and no such room.",
  unknown_link: "This link does not work: it is mistyped, revoked or over.",
  refused: "The owner of this room said no.",
  already_member: "Already in this room.",
  rate_limited: "You have posted as much to everyone as you may for now.",
  too_late: "The server was not there at that time.",
  not_yours: "Only who wrote a message may do that.",
  too_old: "This message is too old to be changed or removed.",
  too_often: "This message was changed too often.",
  too_new: "You have not been here for long enough to complain.",
  feature_off: "This server does not do that.",
  gone: "It is gone meanwhile.",
};

function sentence(text) {
  const words = text?.replaceAll("`", "");
  return words && `${words[0].toUpperCase()}${words.slice(1)}.`;
}

/** What the server counts as characters. */
const lengthOf = (text) => [...text].length;
/** How long a text may be; what servers are set to, until this one has refused a text and said. */
let most = 4000;
let isTold = false;
/** From so many characters before the end on, the length of a text is told. */
const NEAR = 200;

/** How long a text is, where it is nearly too long, or is; else nothing. */
export function lengthLine(text) {
  // The number of its units is no smaller, and known without counting.
  const length = text.length > most - NEAR && lengthOf(text);
  if (!length || length <= most - NEAR) return "";
  if (!isTold) return `${length} characters; most servers take up to ${most}.`;
  return `${length} of ${most} characters${length > most ? `: ${length - most} too many` : ""}.`;
}

/** Why a text can't be taken, where it is for its length. */
function ofLength(field, detail) {
  const [, length, limit] = /has (\d+) characters; 1 to (\d+) /.exec(detail)?.map(Number) ?? [];
  if (!limit) return null;
  if (field === "text") [most, isTold] = [limit, true];
  if (!length) return "There is nothing in it. Write something.";
  return `It has ${length} characters, and ${limit} are allowed. Shorten it by ${length - limit}.`;
}

/** A limit is rounded down and what is over it up, so that they never read alike. */
export const tooLarge = (bytes, max) => `It has ${size(bytes)}; a file may have ${size(max, Math.floor)}.`;

/** Why something was not done. */
export function why({ code, field, status, detail, until }) {
  if (code === "banned") return until ? `You may not post until ${moment(until)}.` : "You were not allowed to post at that time.";
  if (status >= 500) return "The server can't do this just now.";
  return WORDS[code === "invalid" ? `invalid ${field}` : code] ?? ofLength(field, detail) ?? sentence(detail);
}

/** The same, with when to try again. */
export const explain = (problem) => (problem.wait > 1 ? `${why(problem)} Try again in ${span(problem.wait)}.` : why(problem));
