/**
 * Where one is, each an entry of the browser's history: a chat, which the address names, or a sheet over it. The state of an
 * entry is `{from, sheet}`: the chat before, and what the sheet is about.
 */
const isWide = matchMedia("(min-width: 700px)");

export const hashOf = (address) => `#${encodeURIComponent(address)}`;

/** The chat that a hash names, if it names one. */
export function addressIn(hash) {
  try {
    const address = decodeURIComponent(hash.slice(1));
    return /^(common$|@|room:)/.test(address) ? address : "";
  } catch {
    return "";
  }
}

/** The chat that is open where none is named: none where there is no room for one beside the list of them. */
const home = () => (isWide.matches ? "common" : "");
export const here = () => addressIn(location.hash) || home();

/** What the entry says of a sheet. */
export const sheetHere = () => history.state?.sheet;

const moved = () => dispatchEvent(new Event("moved"));

/** The browser goes back by itself only later: what is to follow waits until it is there. */
let isLeaving = false;
const next = [];

function back() {
  isLeaving = true;
  history.back();
}

addEventListener("popstate", () => {
  isLeaving = false;
  while (next.length && !isLeaving) next.shift()();
  if (!isLeaving) moved();
});

/** Goes to a chat, from a sheet or `instead` of what can't be gone back to in the place of that. */
export function go(address, instead = false) {
  if (isLeaving) return next.push(() => go(address, instead));
  const from = here();
  address ||= home();
  if (address === from) leave();
  else if (instead && sheetHere()) {
    leave();
    next.push(() => go(address, instead));
  } else if (instead && history.state?.from === address) back();
  else if (sheetHere()) history.replaceState({ from }, "", hashOf(address));
  else if (instead) history.replaceState({ from: history.state?.from }, "", hashOf(address));
  else history.pushState({ from }, "", hashOf(address));
  if (!isLeaving) moved();
}

/** A sheet is open: in the place of another one, or over it. */
export function enter(sheet, isOver) {
  if (isLeaving) return next.push(() => enter(sheet, isOver));
  const before = sheetHere();
  if (JSON.stringify(before) === JSON.stringify(sheet)) return;
  const state = { from: history.state?.from, sheet };
  if (before && !isOver) history.replaceState(state, "");
  else history.pushState(state, "");
}

/** A sheet is closed, if one was open. */
export function leave() {
  if (isLeaving) next.push(leave);
  else if (sheetHere()) back();
}
