/** The list of chats: invitations do not crowd it, and the keyboard passes it in one step. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { checkAccess, connect, stage, testOf, until, visit } from "./stage.mjs";

const it = stage();

async function invite(from, name, titles) {
  for (const title of titles) {
    const { room } = await from.post("/rooms", { title });
    await from.post(`/rooms/${room.slice(5)}/invites`, { user: name });
  }
}

testOf(["rooms"], "an invitation is taken or put off, by buttons that say which, and many are folded", async () => {
  const bob = await it.server.person("bob");
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ann", "secret");
  await invite(bob, "ann", ["Attic", "Shed"]);
  const list = page.locator("#chats");
  await list.getByRole("button", { name: "Join Attic, invited by bob" }).waitFor();
  const later = list.getByRole("button", { name: "Not now: Shed, invited by bob" });
  await later.focus();
  await page.keyboard.press("Enter");
  await later.waitFor({ state: "detached" });
  await until("the focus is somewhere", () => page.evaluate(() => document.activeElement !== document.body));
  const fold = (count) => list.locator("summary").filter({ hasText: new RegExp(`^${count} invitations?$`) });
  await fold(1).waitFor();
  await page.reload();
  await fold(1).click();
  await list.getByRole("button", { name: "Join Shed, invited by bob" }).waitFor();
  assert.equal(await later.count(), 0, "it is put off already");
  await invite(bob, "ann", Array.from({ length: 20 }, (_, number) => `Room ${number}`));
  await fold(22).waitFor();
  await page.reload();
  await fold(22).waitFor();
  const box = await list.locator("a").first().boundingBox();
  assert.ok(box.y < 250, `the first chat stands at ${box.y}`);
  await fold(22).click();
  await list.getByRole("button", { name: "Join Room 7, invited by bob" }).click();
  await page.locator("#title").filter({ hasText: "Room 7" }).waitFor();
  await fold(21).waitFor();
  await checkAccess(page, "unfolded invitations");
  await page.context().close();
});

test("the list is one stop of the Tab key, with arrows, Home and End in it, and can be skipped", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "cat");
  for (let number = 1; number <= 9; number += 1) await (await it.server.person(`friend${number}`)).post("/send", { to: "@cat", text: "hello" });
  const links = page.locator("#chats a");
  await until("all are there", async () => (await links.count()) === 10);
  const stops = () => links.evaluateAll((all) => all.filter(({ tabIndex }) => tabIndex === 0).map((one) => one.getAttribute("href")));
  assert.deepEqual(await stops(), ["#common"]);
  const at = () => page.evaluate(() => [...document.querySelectorAll("#chats a")].indexOf(document.activeElement));
  await page.locator("#me").focus();
  await page.keyboard.press("Tab");
  for (const [key, place] of [["ArrowDown", 1], ["End", 9], ["ArrowUp", 8], ["Home", 0], ["ArrowUp", 0], ["ArrowDown", 1]]) {
    await page.keyboard.press(key);
    assert.equal(await at(), place, key);
  }
  assert.equal((await stops()).length, 1);
  await page.keyboard.press("Tab");
  assert.equal(await at(), -1);
  await page.keyboard.press("Shift+Tab");
  assert.equal(await at(), 1);
  await page.keyboard.press("Enter");
  await page.locator("#messages").getByText("hello").waitFor();
  const skip = page.getByRole("button", { name: "Skip to the messages" });
  await skip.focus();
  const { width } = await skip.boundingBox();
  assert.ok(width > 50, "it is in sight while it has the focus");
  await checkAccess(page, "the way past the list");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "scroll");
  await page.context().close();
});
