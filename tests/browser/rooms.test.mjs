/** Rooms: who asked by a link is told, and links are revoked one by one. */
import assert from "node:assert/strict";
import { checkAccess, connect, message, say, stage, tab, testOf, tokenOf, until, visit } from "./stage.mjs";

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
  await one.getByRole("heading", { name: "The owner said no" }).waitFor();
  await one.locator("#sheet-body").getByText(/You may ask again in (\d+ min|1 h)/).waitFor();
  assert.equal(await one.getByRole("button", { name: "Ask to come in" }).count(), 0);
  await one.context().close();
});

testOf(["rooms"], "a link that lets nobody ask says why, in its heading, too", async () => {
  const owner = await it.server.person("orsolya");
  const { room, path } = await roomOf(owner, "Mill");
  const used = (await owner.post(`${path}/links`, { uses: 1 })).url;
  const guest = await it.server.person("gwendolyn");
  await guest.post(used);
  await owner.post(`${path}/requests/gwendolyn`, { approve: true });
  const page = await visit(it.browser, it.server.url + used);
  // Nobody knows yet whether it works: it tells nothing but that it is one.
  await page.getByText("You came by the link to a room. Connect first: then you can ask to come in, if the link works.").waitFor();
  await connect(page, "nea");
  for (const [url, heading, words] of [[used, "This link does not work", "has let in as many as it may"], ["/join/mistyped", "This link does not work", "It is mistyped"]]) {
    await page.goto(it.server.url + url);
    await page.getByRole("heading", { name: "A link to a room" }).waitFor();
    await page.getByRole("button", { name: "Ask to come in" }).click();
    await page.getByRole("heading", { name: heading }).waitFor();
    await page.locator("#sheet-body").getByText(words).waitFor();
    assert.equal(await page.getByRole("button", { name: "Ask to come in" }).count(), 0);
    await checkAccess(page, heading);
  }
  // A member's way leads in.
  const own = await owner.post(`${path}/links`);
  const token = await tokenOf(page);
  await it.server.call(token, "POST", own.url);
  await owner.post(`${path}/requests/nea`, { approve: true });
  await page.goto(it.server.url + own.url);
  await page.getByRole("button", { name: "Ask to come in" }).click();
  await page.getByRole("heading", { name: "You are in this room" }).waitFor();
  await page.getByRole("button", { name: "Open the room" }).click();
  await page.locator("#title").filter({ hasText: "Mill" }).waitFor();
  assert.ok(decodeURIComponent(new URL(page.url()).hash).includes(room));
  await page.context().close();
});

testOf(["rooms"], "the link to one's own room says so at once where it was made, and elsewhere when one asks", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "odd", "o");
  const { room } = await it.server.call(await tokenOf(page), "POST", "/rooms", { title: "Dock" });
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#title").filter({ hasText: "Dock" }).waitFor();
  await page.locator("#details").click();
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByLabel(/^The link made/).inputValue();
  const other = await visit(it.browser, it.server.url);
  await connect(other, "odd", "o");
  for (const [one, isAsked] of [[page, false], [other, true]]) {
    await one.goto(link);
    if (isAsked) await one.getByRole("button", { name: "Ask to come in" }).click();
    await one.getByRole("heading", { name: "A link to your own room" }).waitFor();
    await one.locator("#sheet-body").getByText("It leads to Dock. Give it to whoever is to come in").waitFor();
    await one.getByRole("button", { name: "Open the room" }).click();
    await one.locator("#title").filter({ hasText: "Dock" }).waitFor();
    await one.context().close();
  }
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
  // What was open is so again.
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

testOf(["rooms"], "who asks to come in is told to the owner wherever they are, also after a reload", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "odo");
  const token = await tokenOf(page);
  const owner = { post: (path, body = {}) => it.server.call(token, "POST", path, body) };
  const { path, url } = await roomOf(owner, "Stable");
  const row = page.locator("#chats a").filter({ hasText: "Stable" });
  await row.waitFor();
  await page.locator("#title").filter({ hasText: "Everyone" }).waitFor();
  const guests = [await it.server.person("gil"), await it.server.person("gus")];
  await guests[0].post(url);
  await row.getByText("1 asks to come in").waitFor();
  await page.locator("#live").getByText("gil asks to come into Stable.").waitFor({ state: "attached" });
  assert.match(await page.title(), /^\(1\)/);
  await page.reload();
  await row.getByText("1 asks to come in").waitFor();
  assert.match(await page.title(), /^\(1\)/);
  await guests[1].post(url);
  await row.getByText("2 ask to come in").waitFor();
  await checkAccess(page, "two ask");
  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(`${it.server.url}/#common`);
  await page.getByRole("link", { name: "All chats, 2 ask to come in" }).waitFor();
  for (const guest of ["gil", "gus"]) await owner.post(`${path}/requests/${guest}`, { approve: true });
  await until("nothing is counted", async () => !/^\(/.test(await page.title()));
  await page.context().close();
});

testOf(["rooms"], "how many are in a room, and here at all, is the same in two tabs whoever comes and goes", async () => {
  const one = await visit(it.browser, it.server.url);
  await connect(one, "dov");
  const token = await tokenOf(one);
  const call = (path, body = {}) => it.server.call(token, "POST", path, body);
  const { room, path } = await roomOf({ post: call }, "Hall");
  const two = await tab(one.context(), `${it.server.url}/#${encodeURIComponent(room)}`);
  await one.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  const both = async (words) => {
    for (const page of [one, two]) await page.locator("#about").filter({ hasText: words }).waitFor();
  };
  await both(/^1 member$/);
  const guests = [];
  for (const name of ["dag", "dan", "dot"]) {
    guests.push(await it.server.person(name));
    await call(`${path}/invites`, { user: name });
    await guests.at(-1).post(`${path}/join`);
  }
  await both(/^4 members$/);
  await guests[0].post(`${path}/leave`);
  await both(/^3 members$/);
  // Somebody comes while a page asks how things are, after it was told how many there are.
  const people = async () => Number(/^\d+/.exec(await two.locator("#about").textContent())[0]);
  await two.goto(`${it.server.url}/#common`);
  await until("all are counted", async () => (await people()) > 3);
  const before = await people();
  let release;
  const held = new Promise((go) => (release = go));
  await two.route("**/users*", async (route) => {
    await held;
    await route.continue();
  });
  const asked = two.waitForRequest("**/users*");
  await two.reload();
  await asked;
  const late = await visit(it.browser, it.server.url);
  await connect(late, "dud");
  release();
  await two.locator("#chats a").first().waitFor();
  await until("who came late is counted", async () => (await people()) === before + 1);
  // Whoever has no browser open is counted once they write.
  const quiet = await it.server.person("dim");
  await quiet.post("/send", { to: "common", text: "not seen before" });
  await message(two, "not seen before").waitFor();
  await until("who writes is counted", async () => (await people()) === before + 2);
  await one.context().close();
  await late.context().close();
});

testOf(["rooms"], "on a phone the sheet of a link takes the focus, and gives it back to the chats", async () => {
  const owner = await it.server.person("oke");
  const { path, url } = await roomOf(owner, "Pier");
  const page = await visit(it.browser, it.server.url + url, { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  await page.getByLabel("Your name").fill("nik");
  await page.getByRole("button", { name: "Connect" }).tap();
  const hasFocus = (locator) => locator.evaluate((node) => node === document.activeElement);
  const ask = page.getByRole("button", { name: "Ask to come in" });
  await until("what one came for has the focus", () => hasFocus(ask));
  await ask.press("Enter");
  await page.locator("#sheet").getByText(/You asked to come into Pier/).waitFor();
  await until("the focus stays in the sheet", () => page.evaluate(() => document.activeElement !== document.body && document.getElementById("sheet").contains(document.activeElement)));
  await owner.post(`${path}/requests/nik`, { approve: true });
  const enter = page.getByRole("button", { name: "Open the room" });
  await enter.waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#sheet").waitFor({ state: "hidden" });
  await until("the chats have the focus", () => page.evaluate(() => Boolean(document.activeElement.closest("#chats"))));
  await page.context().close();
});

testOf(["rooms", "schedule"], "a notice goes when what it tells is over, and when one goes on to something else", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ono");
  const token = await tokenOf(page);
  const call = (method, path, body) => it.server.call(token, method, path, body);
  const { path, url } = await roomOf({ post: (at, body = {}) => call("POST", at, body) }, "Quay");
  await page.locator("#chats a").filter({ hasText: "Quay" }).waitFor();
  const toast = page.locator("#toast");
  // The time after which it would go by itself is no part of this.
  const patience = { timeout: 4000 };
  const gone = () => toast.waitFor({ state: "hidden", ...patience });
  const later = async () => {
    await page.locator("#text").fill("later");
    await page.locator("#when").click();
    await page.getByRole("button", { name: "In an hour" }).click();
    await page.locator("#sheet").waitFor({ state: "hidden" });
    await toast.getByText(/It will be sent/).waitFor(patience);
  };
  await later();
  const { scheduled: [made] } = await call("GET", "/scheduled");
  await call("DELETE", `/scheduled/${made.id}`);
  await gone();
  const guest = await it.server.person("gin");
  await guest.post(url);
  await toast.getByText("gin asks to come into Quay.").waitFor(patience);
  await call("POST", `${path}/requests/gin`, { approve: true });
  await gone();
  // Another sheet, and another chat.
  await later();
  await page.locator("#me").click();
  await gone();
  await page.getByRole("button", { name: "Close" }).first().click();
  await later();
  await page.locator("#chats a").filter({ hasText: "Quay" }).click();
  await gone();
  // What is told in a sheet goes with it.
  await page.locator("#details").click();
  await page.getByRole("button", { name: "Make a link" }).click();
  await toast.waitFor(patience);
  await page.keyboard.press("Escape");
  await gone();
  await page.context().close();
});

testOf(["rooms"], "no room and nobody looks as the common chat or the notebook does, whatever they are called", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "iris");
  for (const name of ["Everyone", "Notebook"]) {
    const person = await it.server.person(name);
    await person.post("/send", { to: "@iris", text: "it is me" });
    const { room } = await it.server.call(await tokenOf(page), "POST", "/rooms", { title: name });
    await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
    await page.locator("#title").getByText(`# ${name}`, { exact: true }).waitFor();
    await page.locator("#details").click();
    await page.locator("#sheet-title").getByText(`# ${name}`, { exact: true }).waitFor();
    await page.locator("#close").click();
  }
  await page.goto(`${it.server.url}/#%40iris`);
  await say(page, "a note");
  await message(page, "a note").waitFor();
  const titles = await page.locator("#chats .name").evaluateAll((nodes) => nodes.map((node) => node.firstChild.textContent));
  assert.deepEqual([...titles].sort(), ["# Everyone", "# Notebook", "@Everyone", "@Notebook", "Everyone", "Notebook"]);
  const faces = page.locator("#chats .face:has(svg)");
  assert.equal(await faces.count(), 1, "a picture is everyone's alone");
  const box = await faces.locator("svg").evaluate((node) => node.getBBox().width);
  assert.ok(box > 0, "it is drawn");
  await checkAccess(page, "rooms and people called alike");
  await page.context().close();
});
