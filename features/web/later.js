/** Messages for later: choosing the time, and what waits. */
import { el, keyed, moment, name, zone } from "./dom.js";
import { post, remove } from "./net.js";
import { chatOf, noticeWhile, state } from "./store.js";
import { action, close, form, open, page } from "./sheet.js";
import { titleOf } from "./chats.js";
import { why } from "./words.js";

/** A time as the field for one takes it: of here, without seconds. */
const local = (date) => new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** Asks when to send; `done` follows when the server has it. */
export function chooseTime(address, body, done) {
  open("Send later", (sheet) => {
    const tomorrow = new Date();
    tomorrow.setDate(tomorrow.getDate() + 1);
    tomorrow.setHours(9, 0, 0, 0);
    const at = async (when) => {
      const made = await post("/scheduled", { to: address, ...body, at: when.toISOString() });
      done();
      close();
      noticeWhile(() => state.scheduled.get(made.id)?.state === "waiting", `It will be sent ${moment(made.at)}.`);
    };
    const inMinutes = (minutes) => () => at(new Date(Date.now() + minutes * 60_000));
    sheet.append(el("blockquote", { dir: "auto" }, body.text || "A file"),
      el("div.choices", action("In 10 minutes", inMinutes(10)), action("In an hour", inMinutes(60)), action("Tomorrow at 9", () => at(tomorrow))),
      form([el("label", "At", el("input", { type: "datetime-local", name: "at", required: true, min: local(new Date()), value: local(tomorrow) }))],
        "Schedule", ({ at: when }) => at(new Date(when))),
      el("p.hint", `Times are those of ${zone}.`));
  });
}

const states = { waiting: "To be sent", sent: "Sent", failed: "Not sent" };

export const showLater = page("later", () => {
  open("Scheduled messages", (body) => {
    const list = el("ul.later");
    const none = el("p.hint", "None. The clock beside the field sends what you wrote later.");
    body.append(none, list);
    const view = (one) => el("li",
      el("p.hint", `${states[one.state]} to `, name(titleOf(chatOf(one.to))), `, ${moment(one.at)}`),
      el("p.text", { dir: "auto" }, one.text || one.file?.name || "A file"),
      one.reason && el("p.error", why({ code: one.reason, detail: one.detail })),
      one.state !== "sent" && action(one.state === "waiting" ? "Cancel" : "Remove", () => remove(`/scheduled/${one.id}`)));
    return () => {
      const all = [...state.scheduled.values()].filter(({ state: how }) => how !== "sent").sort((one, other) => one.at.localeCompare(other.at));
      none.hidden = all.length > 0;
      keyed(list, all.map((one) => [one.id, one, view]));
    };
  }, ["later"]);
});
