/** What calls one: the list of it, which leads to the messages. */
import assert from "node:assert/strict";
import { checkAccess, connect, message, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

testOf(["mentions"], "what calls one is listed, the newest first, with what is unread, and opens in its chat", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "mei");
  const other = await it.server.person("mo");
  for (let number = 1; number <= 31; number += 1) await it.server.call(await tokenOf(page), "POST", "/send", { to: "@me", text: `note ${number}` });
  await page.goto(`${it.server.url}/#%40mei`);
  await message(page, "note 31").waitFor();
  await other.post("/send", { to: "@mei", text: "@mei, have a look" });
  await other.post("/send", { to: "@mei", text: "nothing of weight" });
  await other.post("/send", { to: "@mei", text: "<b>@mei</b> again" });
  await page.locator("#chats a").filter({ hasText: "again" }).waitFor();
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Mentions (2 unread)" }).click();
  const hits = page.getByRole("list", { name: "What calls you" }).getByRole("button");
  await until("they are listed", async () => (await hits.count()) === 2);
  const texts = await hits.allTextContents();
  assert.match(texts[0], /^mo new .*<b>@mei<\/b> again$/s);
  assert.match(texts[1], /@mei, have a look$/);
  await checkAccess(page, "mentions");
  await hits.nth(1).click();
  await until("it has the focus", () => message(page, "have a look").evaluate((node) => node === document.activeElement));
  await page.locator("#title").filter({ hasText: "mo" }).waitFor();
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Mentions", exact: true }).click();
  await until("they are read", async () => (await hits.count()) === 2 && !(await hits.allTextContents()).some((text) => / new /.test(text)));
  await page.context().close();
});

testOf(["mentions"], "older ones come when asked for, and who was never called is told so", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "mab");
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Mentions" }).click();
  await page.getByText("Nobody has called you by @ and your name.").waitFor();
  await page.keyboard.press("Escape");
  const other = await it.server.person("max");
  for (let number = 1; number <= 31; number += 1) await other.post("/send", { to: "@mab", text: `@mab call ${number}.` });
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Mentions (31 unread)" }).click();
  await page.getByRole("button", { name: "Older ones" }).click();
  const hits = page.getByRole("list", { name: "What calls you" }).getByRole("button");
  await until("all are there", async () => (await hits.count()) === 31);
  assert.match((await hits.allTextContents()).at(-1), /call 1\.$/);
  assert.equal(await page.getByRole("button", { name: "Older ones" }).isVisible(), false);
  await page.context().close();
});
