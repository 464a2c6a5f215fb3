/** Who comes back after long: where the new begins, what of it is read, and what is far back. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { FEATURES, connect, message, say, stage, tokenOf, until, visit } from "./stage.mjs";

const it = stage(FEATURES.includes("rate_limit") ? "[features.rate_limit]\nmessages = 100000\n" : "");

/** More than are fetched at once at opening. */
const COUNT = 620;

/** How many are unread in the chat with bob, by the API, and the first of them. */
async function unreadOf(token) {
  const { chats } = await it.server.call(token, "GET", "/status");
  const { unread, read } = chats.find(({ chat }) => chat === "@bob");
  const { messages } = await it.server.call(token, "GET", "/unread?limit=1");
  return { unread, read, first: messages[0]?.text };
}

const texts = (page) => page.locator("#messages .text").allTextContents();
const numbers = async (page) => (await texts(page)).filter((text) => text.startsWith("line ")).map((text) => Number(/\d+/.exec(text)));
/** That what is shown has no gap. */
async function isWhole(page) {
  const all = await numbers(page);
  assert.deepEqual(all, all.map((_, index) => all[0] + index), "without a gap");
}

test("after a long absence the line stands where the new begins, and only what was shown from there on is read", async () => {
  const bob = await it.server.person("bob");
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ann", "secret");
  const token = await tokenOf(ann);
  await bob.post("/send", { to: "@ann", text: "seen before" });
  await ann.locator("#chats a").filter({ hasText: "bob" }).click();
  await until("it is read", async () => (await unreadOf(token)).unread === 0);
  await ann.goto("about:blank");
  for (let number = 1; number <= COUNT; number += 1) await bob.post("/send", { to: "@ann", text: `line ${number}.` });
  await ann.goto(`${it.server.url}/#%40bob`);
  await ann.locator(".mark + .message").filter({ hasText: "line 1." }).waitFor();
  await message(ann, "seen before").waitFor();
  const down = ann.locator("#down");
  await down.filter({ hasText: /^↓ \d{3} new$/ }).waitFor();
  assert.equal(await ann.locator("#up").isVisible(), false);
  const box = await ann.locator("#scroll").boundingBox();
  await ann.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await ann.mouse.wheel(0, 400);
  await until("something is read", async () => (await unreadOf(token)).unread < COUNT);

  // The end is there at once, and reads nothing of what was never shown.
  await down.click();
  await message(ann, `line ${COUNT}.`).waitFor();
  const { unread, first } = await unreadOf(token);
  assert.ok(unread > COUNT - 60, `${unread} are unread`);
  assert.equal(first, `line ${COUNT - unread + 1}.`, "from where one looked on");
  await ann.locator("#up").filter({ hasText: `↑ ${unread} new` }).waitFor();
  assert.equal(await ann.locator(".mark").count(), 0, "no line where the new does not begin");
  assert.equal(await down.isVisible(), false);
  await say(ann, "an answer");
  await message(ann, "an answer").waitFor();
  await bob.post("/send", { to: "@ann", text: `line ${COUNT + 1}.` });
  await message(ann, `line ${COUNT + 1}.`).waitFor();
  await ann.locator("#up").filter({ hasText: `↑ ${unread + 1} new` }).waitFor();
  assert.equal((await unreadOf(token)).unread, unread + 1);
  await isWhole(ann);

  // Back to where it begins, and forward page by page to the end.
  await ann.locator("#up").click();
  await ann.locator(".mark").waitFor();
  await message(ann, `line ${COUNT}.`).waitFor({ state: "detached" });
  await until("all was scrolled through", async () => {
    await ann.locator("#scroll").evaluate((node) => (node.scrollTop = node.scrollHeight));
    return (await ann.locator('#chats [href="#%40bob"] .count').count()) === 0;
  });
  assert.equal(await message(ann, `line ${COUNT + 1}.`).count(), 1);
  await until("all is read", async () => (await unreadOf(token)).unread === 0);
  await isWhole(ann);
  await ann.context().close();
});

test("who does not want to go through all of it marks it as read", async () => {
  const eve = await it.server.person("eve", "secret");
  const bob = await it.server.person("ben");
  for (let number = 1; number <= COUNT; number += 1) await bob.post("/send", { to: "@eve", text: `line ${number}.` });
  const page = await visit(it.browser, it.server.url);
  await connect(page, "eve", "secret");
  await page.locator("#chats a").filter({ hasText: "ben" }).click();
  await page.locator(".mark").waitFor();
  assert.equal(await page.locator("#pass").isVisible(), false);
  await page.locator("#down").click();
  await page.getByRole("button", { name: "Mark as read" }).click();
  await page.locator('#chats [href="#%40ben"] .count').waitFor({ state: "detached" });
  assert.deepEqual((await eve.get("/unread")).messages, []);
  for (const id of ["#up", "#pass"]) await page.locator(id).waitFor({ state: "hidden" });
  await page.context().close();
});

test("what is found far back is opened where it is, with what stands around it", async () => {
  if (!FEATURES.includes("search")) return;
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ann", "secret");
  await page.goto(`${it.server.url}/#%40bob`);
  await message(page, "an answer").waitFor();
  let asked = 0;
  page.on("request", (request) => (asked += new URL(request.url()).pathname === "/messages"));
  await page.locator("#find").click();
  await page.getByLabel("Words to find").fill('"line 70"');
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await page.locator(".hit").filter({ hasText: "line 70." }).click();
  await until("it is in sight", () => page.evaluate(() => document.activeElement.textContent.includes("line 70.")));
  assert.ok(asked <= 4, `${asked} pages were asked for`);
  const shown = await numbers(page);
  assert.ok(shown[0] < 70 && shown.at(-1) > 70 && shown.at(-1) < 300, String(shown));
  await page.locator("#down").filter({ hasText: "↓ To the end" }).click();
  await message(page, `line ${COUNT + 1}.`).waitFor();
  assert.equal(await page.locator("#down").isVisible(), false);
  await isWhole(page);
  await page.context().close();
});
