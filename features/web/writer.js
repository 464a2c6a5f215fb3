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
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || isTouch.matches) return;
    event.preventDefault();
    text.form.requestSubmit();
  });
  return {
    keep,
    grow,
    /** Tells which files belong to the draft. */
    withFiles: (given) => (files = given),
    /** Shows the draft of the place, and gives its files. */
    show() {
      const kept = draft(place());
      text.value = kept.text;
      grow();
      return kept.files;
    },
    clear() {
      text.value = "";
      grow();
      keep();
    },
  };
}
