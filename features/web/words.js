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

const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1).replaceAll("`", "")}.`;

/** A limit is rounded down and what is over it up, so that they never read alike. */
export const tooLarge = (bytes, max) => `It has ${size(bytes)}; a file may have ${size(max, Math.floor)}.`;

/** Why something was not done. */
export function why({ code, field, status, detail, until }) {
  if (code === "banned") return until ? `You may not post until ${moment(until)}.` : "You were not allowed to post at that time.";
  if (status >= 500) return "The server can't do this just now.";
  return WORDS[code === "invalid" ? `invalid ${field}` : code] ?? sentence(detail);
}

/** The same, with when to try again. */
export const explain = (problem) => (problem.wait > 1 ? `${why(problem)} Try again in ${span(problem.wait)}.` : why(problem));
