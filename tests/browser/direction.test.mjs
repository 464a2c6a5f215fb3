/** Texts and names that are written from right to left. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { connect, message, stage, testOf, until, visit } from "./stage.mjs";

const it = stage();
const NAME = "עדינה-מתל-אביב";
const LONG = "שלום לכולם, זו הודעה ארוכה מאוד שאין לה מקום בשורה אחת ולכן היא נחתכת בסופה ולא בתחילתה";

/** Whether the first and the last letter of a node's text are within its box. */
const sight = (node) => {
  const box = node.getBoundingClientRect();
  const text = document.createTreeWalker(node, NodeFilter.SHOW_TEXT).nextNode();
  const isIn = (at) => {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    const { left, right } = range.getBoundingClientRect();
    return left >= box.left - 1 && right <= box.right + 1;
  };
  return [isIn(0), isIn(text.data.length - 1)];
};

test("in the list a text is cut at its end, whichever way it is written, and leaves what is beside it in its place", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "lea");
  const other = await it.server.person(NAME);
  await other.post("/send", { to: "common", text: LONG });
  await other.post("/send", { to: "@lea", text: `${LONG} 123!` });
  const row = (href) => page.locator(`#chats a[href="${href}"]`);
  const words = row("#common").locator(".last > bdi");
  await until("it is there", async () => (await words.textContent()) === LONG);
  await until("it is cut at its end", async () => String(await words.evaluate(sight)) === "true,false");
  assert.equal(await words.evaluate((node) => getComputedStyle(node).direction), "rtl");
  // Who wrote it stands before it.
  const [by, text] = [await row("#common").locator(".last > span").boundingBox(), await words.boundingBox()];
  assert.ok(by.x + by.width <= text.x + 1);
  assert.match(await row("#common").locator(".last").textContent(), new RegExp(`^${NAME}: `));
  const priv = row(`#${encodeURIComponent(`@${NAME}`)}`);
  assert.deepEqual(await priv.locator(".last > bdi").evaluate(sight), [true, false]);
  assert.deepEqual(await priv.locator(".name").evaluate(sight), [true, true]);

  await page.context().close();
});

testOf(["comments", "edits"], "a quote has the direction of what it quotes", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "גיל");
  await page.locator("#text").fill(`${LONG}!`);
  await page.locator("#text").press("Enter");
  const own = message(page, `${LONG}!`);
  const direction = (locator) => locator.evaluate((node) => getComputedStyle(node).direction);
  await own.hover();
  await own.getByRole("button", { name: "Comment" }).click();
  const quote = page.locator("#sheet blockquote .text");
  await quote.waitFor();
  assert.equal(await direction(quote), "rtl");

  await page.keyboard.press("Escape");
  await own.hover();
  await own.getByRole("button", { name: "Remove" }).click();
  assert.equal(await direction(page.locator("#sheet blockquote")), "rtl");
  await page.context().close();
});
