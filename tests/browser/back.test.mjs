/** The browser's Back, Forward and reload, and what is open over a chat. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { checkAccess, connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();
const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

const entries = (page) => page.evaluate(() => history.length);
const sheetOf = (page) => page.locator("#sheet");
const isAt = (page, title) => page.locator("#title").filter({ hasText: title }).waitFor();

async function closed(page) {
  await sheetOf(page).waitFor({ state: "hidden" });
  // The browser has gone back, too.
  await until("the entry is a chat's", () => page.evaluate(() => !history.state?.sheet));
}

test("Back closes what is open first, then goes to the chat before, and Forward goes there again", async () => {
  const page = await visit(it.browser, it.server.url);
  await it.server.person("bea");
  await connect(page, "ada");
  await page.locator("#chats a").first().click();
  await page.locator("#new").click();
  await page.getByRole("button", { name: /^bea/ }).click();
  await isAt(page, "bea");
  assert.equal(await sheetOf(page).isVisible(), false);
  await page.locator("#me").click();
  await page.getByRole("heading", { name: "ada" }).waitFor();
  await page.goBack();
  await closed(page);
  await isAt(page, "bea");
  await page.goBack();
  await isAt(page, "Everyone");
  assert.equal(await sheetOf(page).isVisible(), false, "the list that led there is no entry any more");
  await page.goForward();
  await isAt(page, "bea");
  await page.goForward();
  await page.getByRole("heading", { name: "ada" }).waitFor();
  // It is closed by its button as by Back.
  await page.locator("#close").click();
  await closed(page);
  await page.goBack();
  await isAt(page, "Everyone");
  await page.context().close();
});

test("a reload keeps the chat and what is open over it", async () => {
  const page = await visit(it.browser, it.server.url);
  await it.server.person("cai");
  await connect(page, "abe");
  await page.goto(`${it.server.url}/#%40cai`);
  await page.locator("#details").click();
  await page.getByRole("button", { name: "Write in private" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Write in private" }).waitFor();
  await isAt(page, "cai");
  await checkAccess(page, "a sheet after a reload");
  await page.goBack();
  await closed(page);
  await isAt(page, "cai");
  await page.context().close();
});

test("no entry piles up, whatever is opened and closed", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ari");
  await page.goto(`${it.server.url}/#%40ari`);
  await isAt(page, "Notebook");
  await say(page, "a note");
  await page.locator("#me").click();
  await page.keyboard.press("Escape");
  await closed(page);
  const before = await entries(page);
  for (const way of ["Escape", "button", "beside", "at once"]) {
    await page.locator("#me").click();
    await sheetOf(page).waitFor();
    if (way === "Escape") await page.keyboard.press("Escape");
    else if (way === "button") await page.locator("#close").click();
    else if (way === "beside") await page.mouse.click(100, 400);
    // Opened anew before the browser is back.
    else await page.evaluate(() => ["close", "new", "close", "me", "close"].forEach((id) => document.getElementById(id).click()));
    await closed(page);
    assert.equal(await entries(page), before, way);
  }
  await page.locator('#chats a[href="#%40ari"]').click();
  await isAt(page, "Notebook");
  assert.equal(await entries(page), before, "the chat that is open is gone to by no entry");
  // One that is not there is none to come back to.
  await page.goto(`${it.server.url}/#%40nobody-of-that-name`);
  await page.locator("#toast").getByText("There is nobody of that name").waitFor();
  await isAt(page, "Everyone");
  await page.goBack();
  await isAt(page, "Notebook");
  await page.context().close();
});

testOf(["comments"], "Back closes what lies over a column, then the column, then goes to the chat before", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "aya");
  await page.locator("#chats a").first().click();
  await it.server.call(await tokenOf(page), "POST", "/send", { to: "@me", text: "a note" });
  await page.locator('#chats a[href="#%40aya"]').click();
  await message(page, "a note").hover();
  await message(page, "a note").getByRole("button", { name: "Comment" }).click();
  const comment = page.getByRole("textbox", { name: "Comment" });
  await comment.fill("half a comment");
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Sign out here" }).waitFor();
  await page.goBack();
  await until("the column is back", async () => (await comment.inputValue().catch(() => "")) === "half a comment");
  await page.reload();
  await until("the column is there after a reload", async () => (await comment.inputValue().catch(() => "")) === "half a comment");
  await page.goBack();
  await closed(page);
  await isAt(page, "Notebook");
  await page.goForward();
  await comment.waitFor();
  // Another chat takes the column's place.
  const before = await entries(page);
  await page.locator("#chats a").first().click();
  await isAt(page, "Everyone");
  await closed(page);
  assert.equal(await entries(page), before);
  await page.goBack();
  await isAt(page, "Notebook");
  assert.equal(await comment.count(), 0);
  await page.context().close();
});

testOf(["rooms"], "a room that one has left is not come back to", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "avi");
  const token = await tokenOf(page);
  await it.server.call(token, "POST", "/send", { to: "@me", text: "a note" });
  const notebook = page.locator('#chats a[href="#%40avi"]');
  const makeRoom = async (title) => {
    const { room } = await it.server.call(token, "POST", "/rooms", { title });
    await page.locator("#chats a").filter({ hasText: title }).click();
    await isAt(page, title);
    return room;
  };
  await notebook.click();
  await isAt(page, "Notebook");
  await makeRoom("Shed");
  await page.locator("#details").click();
  await page.getByText("Leave the room").click();
  await page.getByRole("button", { name: "Leave", exact: true }).click();
  await isAt(page, "Everyone");
  await page.goBack();
  await isAt(page, "Notebook");
  const room = await makeRoom("Barn");
  await page.locator("#chats a").first().click();
  await isAt(page, "Everyone");
  await it.server.call(token, "POST", `/rooms/${room.slice(5)}/leave`);
  await page.locator("#chats a").filter({ hasText: "Barn" }).waitFor({ state: "detached" });
  await page.goBack();
  await page.waitForURL((url) => !url.hash.includes("room"));
  await isAt(page, "Everyone");
  await page.goBack();
  await isAt(page, "Notebook");
  await page.context().close();
});

test("on a phone Back leads from a sheet to the chat, and from the chat to the list", async () => {
  const page = await visit(it.browser, it.server.url, PHONE);
  await connect(page, "ani");
  await say(await openFirst(page), "here");
  await page.locator("#details").tap();
  await sheetOf(page).waitFor();
  await page.goBack();
  await closed(page);
  assert.ok(await page.locator("#text").isVisible());
  const before = await entries(page);
  // The arrow is Back, as long as the list is there.
  for (let time = 0; time < 3; time += 1) {
    await page.locator("#back").tap();
    await page.locator("#side").waitFor();
    await openFirst(page);
  }
  assert.ok((await entries(page)) <= before, "none piles up");
  await page.goBack();
  await page.locator("#side").waitFor();
  await page.context().close();
});

async function openFirst(page) {
  await page.locator("#chats a").first().tap();
  await page.locator("#text").waitFor();
  return page;
}
