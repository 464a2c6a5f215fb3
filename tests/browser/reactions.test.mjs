/** Emoji on messages. */
import assert from "node:assert/strict";
import { Server, checkAccess, connect, message, say, stage, tab, testOf, until, visit } from "./stage.mjs";

const it = stage("");

/** What stands under a message, as a screen reader has it. */
const under = (page, text) => message(page, text).locator(".reaction").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));

async function shows(page, text, expected) {
  let seen;
  const same = async () => (seen = JSON.stringify(await under(page, text))) === JSON.stringify(expected);
  await until(`${JSON.stringify(expected)} under ${text}`, same).catch((error) => assert.fail(`${error.message}, but ${seen}`));
}

async function pick(page, text) {
  await message(page, text).hover();
  await message(page, text).getByRole("button", { name: "React", exact: true }).click();
  await page.locator("#picker").waitFor();
}

testOf(["reactions"], "a click puts an emoji there and takes it back, in every tab of everybody", async () => {
  const [ann, bob] = await Promise.all([visit(it.browser, it.server.url), visit(it.browser, it.server.url)]);
  await connect(ann, "ann");
  await connect(bob, "bob");
  const twin = await tab(ann.context(), `${it.server.url}/#common`);
  await say(bob, "lunch?");
  await message(ann, "lunch?").waitFor();
  await pick(ann, "lunch?");
  await checkAccess(ann, "choosing an emoji");
  await ann.locator("#picker").getByRole("button", { name: "👍" }).click();
  await ann.locator("#picker").waitFor({ state: "hidden" });
  for (const page of [ann, twin]) await shows(page, "lunch?", ["👍 1, you too"]);
  await shows(bob, "lunch?", ["👍 1"]);
  const thumb = (page) => message(page, "lunch?").getByRole("button", { name: /^👍/ });
  assert.equal(await thumb(ann).getAttribute("aria-pressed"), "true");
  assert.equal(await thumb(bob).getAttribute("aria-pressed"), "false");

  await thumb(bob).click();
  for (const page of [ann, bob, twin]) await shows(page, "lunch?", ["👍 2, you too"]);
  await pick(bob, "lunch?");
  await bob.locator("#picker").getByRole("button", { name: "🎉" }).click();
  for (const page of [ann, twin]) await shows(page, "lunch?", ["👍 2, you too", "🎉 1"]);
  await checkAccess(ann, "emoji under a message");
  // One that somebody left keeps its place, and one that all left comes anew as the last.
  await thumb(twin).click();
  await shows(ann, "lunch?", ["👍 1", "🎉 1"]);
  await shows(bob, "lunch?", ["👍 1, you too", "🎉 1, you too"]);
  await thumb(bob).click();
  await shows(ann, "lunch?", ["🎉 1"]);
  await pick(ann, "lunch?");
  await ann.locator("#picker").getByRole("button", { name: "👍" }).click();
  for (const page of [ann, twin]) await shows(page, "lunch?", ["🎉 1", "👍 1, you too"]);
  await shows(bob, "lunch?", ["🎉 1, you too", "👍 1"]);
  await ann.reload();
  await shows(ann, "lunch?", ["🎉 1", "👍 1, you too"]);
  await Promise.all([ann.context().close(), bob.context().close()]);
});

testOf(["reactions"], "any other emoji can be typed, and what is none is said so", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "cyd");
  await say(ann, "any other");
  await pick(ann, "any other");
  const field = ann.getByLabel("Any other emoji");
  await field.fill("hi");
  await field.press("Enter");
  await ann.locator("#picker .error", { hasText: "That is not one emoji." }).waitFor();
  await checkAccess(ann, "what is no emoji");
  await field.fill("❤");
  await field.press("Enter");
  await ann.locator("#picker").waitFor({ state: "hidden" });
  await shows(ann, "any other", ["❤️ 1, you too"]);
  // Both spellings are one: what is there already is offered as such, and taken back.
  await pick(ann, "any other");
  const heart = ann.locator("#picker").getByRole("button", { name: "❤️" });
  assert.equal(await heart.getAttribute("aria-pressed"), "true");
  await heart.click();
  await shows(ann, "any other", []);

  // By keys alone: what is done with a message is a Tab away, and Escape leads back to it.
  await message(ann, "any other").focus();
  const button = message(ann, "any other").getByRole("button", { name: "React", exact: true });
  await button.focus();
  await button.press("Enter");
  await until("the focus in it", () => ann.evaluate(() => document.activeElement.textContent === "👍"));
  await ann.keyboard.press("Escape");
  await ann.locator("#picker").waitFor({ state: "hidden" });
  await until("the focus back", () => ann.evaluate(() => document.activeElement.closest(".message")?.textContent.includes("any other")));
  await ann.context().close();
});

testOf(["reactions"], "the focus stays where it is while others react", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "dan");
  const eva = await it.server.person("eva");
  await say(ann, "stay here");
  await message(ann, "stay here").waitFor();
  const { id } = (await eva.get("/messages?chat=common")).messages.at(-1);
  await eva.post("/react", { message: id, emoji: "👍" });
  await shows(ann, "stay here", ["👍 1"]);
  const words = () => ann.evaluate(() => document.activeElement.textContent);
  await message(ann, "stay here").focus();
  for (const name of ["React", "👍 1"]) {
    await message(ann, "stay here").getByRole("button", { name, exact: true }).focus();
    await eva.post("/react", { message: id, emoji: "🎉" });
    await shows(ann, "stay here", ["👍 1", "🎉 1"]);
    assert.equal(await words(), name);
    await eva.post("/react", { message: id, emoji: "🎉", on: false });
    await shows(ann, "stay here", ["👍 1"]);
    assert.equal(await words(), name);
  }
  // One that goes leaves it to the message.
  await eva.post("/react", { message: id, emoji: "👍", on: false });
  await shows(ann, "stay here", []);
  assert.ok((await words()).includes("stay here"));
  await ann.context().close();
});

testOf(["reactions"], "who reacted is in the sheet, and comes to it while it is open", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "fay");
  const [gus, hal] = await Promise.all(["gus", "hal"].map((one) => it.server.person(one)));
  const { id } = await gus.post("/send", { to: "common", text: "who comes?" });
  await hal.post("/react", { message: id, emoji: "👍" });
  await shows(ann, "who comes?", ["👍 1"]);
  await message(ann, "who comes?").hover();
  await message(ann, "who comes?").getByRole("button", { name: "Who reacted" }).click();
  const lines = ann.locator("#sheet .people li");
  await lines.filter({ hasText: "hal" }).filter({ hasText: "👍" }).waitFor();
  await gus.post("/react", { message: id, emoji: "🎉" });
  await lines.filter({ hasText: "gus" }).filter({ hasText: "🎉" }).waitFor();
  await checkAccess(ann, "who reacted");
  await hal.post("/react", { message: id, emoji: "👍", on: false });
  await until("one to be left", async () => (await lines.count()) === 1);
  await ann.context().close();
});

testOf(["reactions"], "what came during an outage, or before one's own post was answered, is there", async () => {
  const own = await Server.start("");
  const ann = await visit(it.browser, own.url);
  await connect(ann, "ann");
  const bob = await own.person("bob");
  const { id } = await bob.post("/send", { to: "common", text: "through it all" });
  for (const emoji of ["👍", "🎉"]) await bob.post("/react", { message: id, emoji });
  await shows(ann, "through it all", ["👍 1", "🎉 1"]);
  await own.kill();
  await ann.locator("#link", { hasText: "Offline" }).waitFor();
  const thumb = message(ann, "through it all").getByRole("button", { name: /^👍/ });
  await thumb.click();
  await ann.locator("#toast", { hasText: "can't be reached" }).waitFor();
  await own.restart();
  await bob.post("/react", { message: id, emoji: "👍", on: false });
  await bob.post("/react", { message: id, emoji: "👀" });
  await bob.post("/react", { message: id, emoji: "👍" });
  await shows(ann, "through it all", ["🎉 1", "👀 1", "👍 1"]);

  // The answer to one's own post is as old as the post.
  let answer;
  const isAnswered = new Promise((go) => (answer = go));
  await ann.route("**/send", async (route) => {
    const response = await route.fetch();
    await isAnswered;
    await route.fulfill({ response });
  });
  await say(ann, "quick");
  await message(ann, "quick").locator("time").waitFor();
  const quick = (await bob.get("/messages?chat=common")).messages.at(-1);
  await bob.post("/react", { message: quick.id, emoji: "👍" });
  await shows(ann, "quick", ["👍 1"]);
  answer();
  await until("it to be sent", async () => !(await ann.locator("#pending .message").count()));
  await shows(ann, "quick", ["👍 1"]);
  await ann.context().close();
  await own.end();
});

testOf(["reactions"], "on a phone, in the dark", async () => {
  const phone = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, colorScheme: "dark" };
  const ann = await visit(it.browser, it.server.url, phone);
  await connect(ann, "ivy");
  const bob = await it.server.person("jon");
  const { id } = await bob.post("/send", { to: "common", text: "on the go" });
  for (const emoji of ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"]) await bob.post("/react", { message: id, emoji });
  await ann.goto(`${it.server.url}/#common`);
  const line = message(ann, "on the go");
  await line.getByRole("button", { name: /^🙏/ }).tap();
  await line.getByRole("button", { name: "🙏 2, you too" }).waitFor();
  await line.locator(".text").tap();
  await line.getByRole("button", { name: "React", exact: true }).tap();
  const box = await ann.locator("#picker").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.y >= 0 && box.y + box.height <= 640, JSON.stringify(box));
  await checkAccess(ann, "choosing an emoji on a phone");
  await ann.locator("#picker").getByRole("button", { name: "👀" }).tap();
  await line.getByRole("button", { name: "👀 1, you too" }).waitFor();
  await checkAccess(ann, "emoji on a phone");
  assert.equal(await ann.evaluate(() => document.querySelector("#scroll").scrollWidth > innerWidth), false, "nothing is wider than the screen");
  await ann.context().close();
});

testOf(["reactions"], "a server without them shows nothing of them", async () => {
  const plain = await Server.start("[features.reactions]\nenabled = false\n");
  const ann = await visit(it.browser, plain.url);
  await connect(ann, "ann");
  await say(ann, "plain");
  await message(ann, "plain").hover();
  await message(ann, "plain").getByRole("button").first().waitFor();
  assert.equal(await message(ann, "plain").getByRole("button", { name: /React/ }).count(), 0);
  await ann.context().close();
  await plain.end();
});
