/** Small things that one stumbles over: where the focus goes, what is said, and what is up to date. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { FEATURES, Server, connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

const hasFocus = (locator) => locator.evaluate((node) => document.activeElement === node);

test("what a message's buttons open gives the focus back to the message", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ann");
  const bob = await it.server.person("bob");
  await bob.post("/send", { to: "common", text: "of another" });
  await say(page, "of mine");
  const buttons = [["of another", "About bob", "#sheet"],
    FEATURES.includes("edits") && ["of mine", "Remove", "#sheet"],
    FEATURES.includes("reactions") && ["of another", "React", "#picker"],
    FEATURES.includes("comments") && ["of mine", "Comment", "#sheet"]].filter(Boolean);
  for (const [text, name, place] of buttons) {
    const one = message(page, text);
    for (const isByKey of [true, false]) {
      const button = one.getByRole("button", { name });
      await (isByKey ? one.focus() : one.hover());
      await button.focus();
      await page.keyboard.press("Enter");
      await page.locator(place).waitFor();
      if (!isByKey) await page.mouse.move(5, 5);
      await page.keyboard.press("Escape");
      await page.locator(place).waitFor({ state: "hidden" });
      await until(`it is back after ${name}`, () => hasFocus(one));
    }
  }
  if (FEATURES.includes("reactions")) {
    await message(page, "of another").focus();
    await message(page, "of another").getByRole("button", { name: "React" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("#picker").getByRole("button", { name: "🎉" }).press("Enter");
    await message(page, "of another").getByRole("button", { name: "🎉 1, you too" }).waitFor();
    await until("it is back after an emoji", () => hasFocus(message(page, "of another")));
  }
  await page.context().close();
});

testOf(["rate_limit"], "how one stands is asked anew when one looks, and follows what other clients post", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "cat", "secret");
  const { token } = await it.server.call(null, "POST", "/connect", { name: "cat", password: "secret" });
  const post = () => it.server.call(token, "POST", "/send", { to: "common", text: "from elsewhere" });
  await post();
  await page.locator("#me").click();
  await page.getByText(/^19 of 20 messages to everyone are left/).waitFor();
  await post();
  await page.getByText(/^18 of 20 messages to everyone are left/).waitFor();
  const before = Date.now();
  await page.evaluate(() => document.querySelector("#close").click());
  const asked = page.waitForResponse((response) => new URL(response.url()).pathname === "/status");
  await page.locator("#me").click();
  const { user } = await (await asked).json();
  assert.ok(Date.parse(user.clients.find(({ current }) => current).seen) >= before - 1000);
  await page.context().close();
});

test("what is about everyone is headed so, and makes no room", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "dan");
  await page.locator("#details").click();
  await page.locator("#sheet-title").filter({ hasText: /^Everyone$/ }).waitFor();
  assert.equal(await page.getByText("New room").count(), 0);
  await page.locator("#sheet").getByText("dan", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#new").click();
  await page.locator("#sheet-title").filter({ hasText: "New chat or room" }).waitFor();
  await page.context().close();
});

test("the length of a text is measured by what this server takes", async () => {
  const server = await Server.start("[chat]\ntext = 300\n");
  const page = await visit(it.browser, server.url);
  await connect(page, "eve");
  await page.locator("#text").fill("x".repeat(310));
  await page.locator("#told").getByText("310 of 300 characters: 10 too many.").waitFor();
  await page.context().close();
  await server.end();
});

testOf(["schedule"], "the clock says why it does nothing beside an empty field", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "fay");
  await page.locator("#when").click();
  await page.locator("#toast").getByText("Write something first: the clock sends it later.").waitFor();
  await until("the field has the focus", () => hasFocus(page.locator("#text")));
  await page.context().close();
});

test("who was signed out from elsewhere finds the name in its field, and who did it here does not", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "gil", "secret");
  await it.server.call(await tokenOf(page), "POST", "/disconnect", {});
  await page.getByText("You were signed out.").waitFor();
  assert.equal(await page.getByLabel("Your name").inputValue(), "gil");
  assert.ok(await hasFocus(page.getByLabel(/^Password/)));
  await connect(page, "gil", "secret");
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Sign out here" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal(await page.getByLabel("Your name").inputValue(), "");
  await page.context().close();
});

test("a message that nothing can be done with has no tools", async () => {
  const off = ["comments", "reactions", "edits"].filter((name) => FEATURES.includes(name));
  const server = await Server.start(off.map((name) => `[features.${name}]\nenabled = false\n`).join(""));
  const page = await visit(it.browser, server.url);
  await connect(page, "hal");
  await say(page, "plain");
  await message(page, "plain").focus();
  assert.equal(await message(page, "plain").locator(".acts").count(), 0);
  await page.context().close();
  await server.end();
});

testOf(["files"], "a picture that is none is said to be so, and a wide one is seen whole", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ida");
  await page.locator("#pick").setInputFiles({ name: "broken.gif", mimeType: "image/gif", buffer: Buffer.from("GIF89a, not") });
  await say(page, "a broken one");
  await message(page, "a broken one").getByText("It can't be shown: broken.gif").waitFor();
  assert.equal(await message(page, "a broken one").locator("img").count(), 0);
  assert.ok((await message(page, "a broken one").locator(".picture").boundingBox()).height < 60);
  // It is called what it says.
  await message(page, "a broken one").getByRole("button", { name: "It can't be shown: broken.gif" }).waitFor();
  await page.locator("#messages .picture").click();
  await page.locator("#sheet").getByText("It can't be shown: broken.gif").waitFor();
  await page.keyboard.press("Escape");
  const wide = Buffer.from(await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 3000, height: 50 });
    const blob = await new Promise((go) => canvas.toBlob(go));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }));
  await page.locator("#pick").setInputFiles({ name: "wide.png", mimeType: "image/png", buffer: wide });
  await say(page, "a wide one");
  const image = message(page, "a wide one").locator("img");
  await until("it is there", () => image.evaluate((node) => node.naturalWidth === 3000));
  assert.equal(await image.evaluate((node) => getComputedStyle(node).objectFit), "contain");
  await page.context().close();
});

testOf(["rooms"], "who is in a room of another's can be written to", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "jan");
  const kim = await it.server.person("kim");
  const { room } = await kim.post("/rooms", { title: "Loft" });
  await kim.post(`/rooms/${room.slice(5)}/invites`, { user: "jan" });
  await page.getByRole("button", { name: "Join Loft, invited by kim" }).click();
  await page.locator("#title").filter({ hasText: "Loft" }).waitFor();
  await page.locator("#details").click();
  await page.locator("#sheet").getByRole("button", { name: "kim" }).click();
  await page.getByRole("button", { name: "Write in private" }).click();
  await page.locator("#title").filter({ hasText: "kim" }).waitFor();
  await page.context().close();
});

testOf(["mentions"], "a name that was begun after an @ is offered, and completed by Tab or a click", async () => {
  const page = await visit(it.browser, it.server.url);
  for (const name of ["Maximilian", "maxine"]) await it.server.person(name);
  await connect(page, "lou");
  const [text, names] = [page.locator("#text"), page.locator("#names")];
  await text.pressSequentially("hello @max");
  await until("both are offered", async () => (await names.getByRole("button").count()) === 2);
  await text.press("Tab");
  assert.equal(await text.inputValue(), "hello @Maximilian ");
  assert.equal(await names.getByRole("button").count(), 0);
  await text.pressSequentially("and @MAXI");
  await names.getByRole("button", { name: "@maxine" }).click();
  assert.equal(await text.inputValue(), "hello @Maximilian and @maxine ");
  await text.press("Enter");
  await message(page, "hello @Maximilian and @maxine").waitFor();
  // No trap: without a name that was begun, or after Escape, Tab leads on.
  await text.pressSequentially("@max");
  await text.press("Escape");
  await text.press("Tab");
  assert.equal(await text.inputValue(), "@max");
  assert.equal(await page.evaluate(() => document.activeElement.id), "when");
  await page.context().close();
});
