/** Rooms: who asked by a link is told, and links are revoked one by one. */
import assert from "node:assert/strict";
import { connect, say, stage, tab, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

/** A room of somebody's, with its link. */
async function roomOf(person, title) {
  const { room } = await person.post("/rooms", { title });
  const path = `/rooms/${room.slice(5)}`;
  const { url } = await person.post(`${path}/links`);
  return { room, path, url };
}

testOf(["rooms"], "whoever asked by a link sees the yes at once, in each tab, and goes in", async () => {
  const owner = await it.server.person("ora");
  const { path, url } = await roomOf(owner, "Attic");
  const one = await visit(it.browser, it.server.url + url);
  await connect(one, "ned");
  const two = await tab(one.context(), it.server.url + url);
  const three = await tab(one.context(), it.server.url);
  for (const page of [one, two]) {
    await page.getByRole("button", { name: "Ask to come in" }).click();
    await page.locator("#sheet").getByText(/You asked to come into Attic/).waitFor();
  }
  await three.locator("#chats").getByText("You asked to come in").waitFor();
  await owner.post(`${path}/requests/ned`, { approve: true });
  for (const page of [one, two]) await page.locator("#sheet-body").getByText("You are let into Attic.").waitFor();
  await three.locator("#toast").getByText("You are let into Attic.").waitFor();
  await three.locator("#chats").getByText("You asked to come in").waitFor({ state: "detached" });
  await one.getByRole("button", { name: "Open the room" }).click();
  await one.locator("#title").filter({ hasText: "Attic" }).waitFor();
  await say(one, "here I am");
  await two.getByRole("button", { name: "Open the room" }).click();
  await two.locator("#messages").getByText("here I am").waitFor();
  await one.context().close();
});

testOf(["rooms"], "whoever asked by a link sees the no at once, in each tab, and when to ask again", async () => {
  const owner = await it.server.person("oda");
  const { path, url } = await roomOf(owner, "Cellar");
  const one = await visit(it.browser, it.server.url + url);
  await connect(one, "nan");
  const two = await tab(one.context(), it.server.url + url);
  for (const page of [one, two]) {
    await page.getByRole("button", { name: "Ask to come in" }).click();
    await page.locator("#sheet").getByText(/You asked to come into Cellar/).waitFor();
  }
  await owner.post(`${path}/requests/nan`, { approve: false });
  for (const page of [one, two]) await page.locator("#sheet-body").getByText("The owner of Cellar said no.").waitFor();
  await one.goto(it.server.url + url);
  await one.getByRole("button", { name: "Ask to come in" }).click();
  await one.locator("#sheet .error").filter({ hasText: /The owner of this room said no\. Try again in (\d+ min|1 h)/ }).waitFor();
  await one.context().close();
});

testOf(["rooms"], "a yes that comes while the page is away is seen when it is back", async () => {
  const owner = await it.server.person("olga");
  const { path, url } = await roomOf(owner, "Barn");
  const page = await visit(it.browser, it.server.url + url);
  await connect(page, "nick");
  await page.getByRole("button", { name: "Ask to come in" }).click();
  await page.locator("#sheet").getByText(/You asked to come into Barn/).waitFor();
  await it.server.kill();
  await page.locator("#link").filter({ hasText: "Offline" }).waitFor({ state: "attached" });
  await page.context().setOffline(true);
  await it.server.restart();
  await owner.post(`${path}/requests/nick`, { approve: true });
  await page.context().setOffline(false);
  await page.locator("#sheet-body").getByText("You are let into Barn.").waitFor();
  await page.context().close();
});

testOf(["rooms"], "links are listed, and one is revoked while the others work", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "lena", "l");
  const token = await tokenOf(page);
  const { room } = await it.server.call(token, "POST", "/rooms", { title: "Loft" });
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#title").filter({ hasText: "Loft" }).waitFor();
  await page.locator("#details").click();
  const links = page.getByLabel(/^The link made/);
  for (const count of [1, 2]) {
    await page.getByRole("button", { name: "Make a link" }).click();
    await until(`${count} are listed`, async () => (await links.count()) === count);
  }
  const [first, second] = [await links.nth(0).inputValue(), await links.nth(1).inputValue()];
  assert.match(first, /\/join\/[\w-]{20,}$/);
  // What a chat is, is known once it is loaded: before, nothing can be opened for it.
  let release;
  const held = new Promise((go) => (release = go));
  await page.route("**/status", async (route) => {
    await held;
    await route.continue();
  });
  await page.reload();
  await page.locator("#link").filter({ hasText: "Loading" }).waitFor();
  assert.equal(await page.locator("#details").isDisabled(), true);
  release();
  await page.locator("#details").click();
  await page.getByRole("button", { name: /^Revoke the link/ }).first().click();
  await until("one is left", async () => (await links.count()) === 1);
  assert.equal(await links.inputValue(), second);
  assert.equal(await page.getByText(/made in another browser/).isVisible(), false);
  const guest = await it.server.person("lev");
  await assert.rejects(guest.post(new URL(first).pathname), /404/);
  await guest.post(new URL(second).pathname);
  await page.getByRole("button", { name: "Let in lev" }).waitFor();
  // Elsewhere the code is not known, and the page says so.
  const other = await visit(it.browser, it.server.url);
  await connect(other, "lena", "l");
  await other.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await other.locator("#title").filter({ hasText: "Loft" }).waitFor();
  await other.locator("#details").click();
  await other.getByText(/made in another browser/).waitFor();
  await other.setViewportSize({ width: 360, height: 640 });
  assert.ok((await other.locator("#sheet").evaluate((node) => node.scrollWidth)) <= 360, "it fits on a phone");
  assert.equal(await other.getByRole("button", { name: /^Revoke the link/ }).count(), 0);
  await other.getByRole("button", { name: "Revoke every link" }).click();
  await links.waitFor({ state: "detached" });
  await page.context().close();
  await other.context().close();
});
