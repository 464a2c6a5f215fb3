/** A field to write in: it grows with its text, keeps it as a draft, and sends with Enter. */
import { draft, keepDraft } from "./outbox.js";

const isTouch = matchMedia("(pointer: coarse)");

/** Makes a textarea such a field. `place` says where its text belongs just now. */
export function writer(text, place) {
  let files = () => [];
  const grow = () => {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight + 2}px`;
  };
  const keep = () => place() && keepDraft(place(), { text: text.value, files: files() });
  text.addEventListener("input", () => {
    grow();
    keep();
  });
  text.addEventListener("keydown", (event) => {
    // While a letter is being composed, Enter chooses it; Safari tells so by the number alone.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    const isSending = event.ctrlKey || event.metaKey || !(event.shiftKey || isTouch.matches);
    if (!isSending) return;
    event.preventDefault();
    text.form.requestSubmit();
  });
  function show() {
    text.value = draft(place()).text;
    grow();
  }
  // A post was taken back into the draft.
  const redraft = () => (text.isConnected ? show() : removeEventListener("redraft", redraft));
  addEventListener("redraft", redraft);
  return {
    keep,
    /** Tells which files belong to the draft. */
    withFiles: (given) => (files = given),
    /** Shows the draft of the place. */
    show,
    clear() {
      text.value = "";
      grow();
      keep();
    },
  };
}
