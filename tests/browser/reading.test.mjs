/** Reading: where the new begins, what moves while one reads, and what others can do to a text. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { FEATURES, Server, connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

/** Everyone may post as much as they like. */
const FREE = FEATURES.includes("rate_limit") ? "[features.rate_limit]\nmessages = 100000\n" : "";

const it = stage(FREE);

/** Where a message stands, in pixels from the upper edge. */
const placeOf = (page, text) => message(page, text).evaluate((node) => node.getBoundingClientRect().top);

/** Whether what a locator finds is in sight among the messages. */
async function isInSight(locator) {
  const [box, around] = [await locator.boundingBox(), await locator.page().locator("#scroll").boundingBox()];
  return Boolean(box) && box.y >= around.y && box.y + box.height <= around.y + around.height;
}

async function post(person, to, count, word) {
  for (let number = 1; number <= count; number += 1) await person.post("/send", { to, text: `${word} ${number}.` });
}

test("a long unread chat opens where the new begins, with ways to the end and back", async () => {
  const bob = await it.server.person("bob");
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ann", "a");
  await post(bob, "@ann", 260, "line");
  await ann.locator("#chats a").filter({ hasText: "bob" }).click();
  const mark = ann.locator(".mark");
  await mark.waitFor();
  await until("the mark is in sight", () => isInSight(mark));
  assert.equal(await ann.locator(".mark + .message").innerText().then((text) => text.includes("line 1.")), true);
  const down = ann.getByRole("button", { name: /^↓ \d+ new$/ });
  await down.waitFor();
  assert.equal(await ann.locator("#up").isVisible(), false);
  await down.click();
  await until("the last is in sight", () => isInSight(message(ann, "line 260.")));
  await ann.locator("#chats a").filter({ hasText: "bob" }).locator(".count").waitFor({ state: "detached" });
  assert.equal(await ann.locator("#down").isVisible(), false);
  await ann.getByRole("button", { name: "↑ Where the new began" }).click();
  await until("the mark is in sight again", () => isInSight(mark));
  await ann.getByRole("button", { name: "↓ To the end" }).click();
  await until("the last is in sight again", () => isInSight(message(ann, "line 260.")));
  await ann.context().close();
});

test("what was looked at of a long unread chat is read, and the rest stays new", async () => {
  const ben = await it.server.person("ben");
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ada");
  await post(ben, "@ada", 80, "part");
  await ann.locator("#chats a").filter({ hasText: "ben" }).click();
  await until("the first is in sight", () => isInSight(message(ann, "part 1.")));
  await message(ann, "part 30.").evaluate((node) => node.scrollIntoView({ block: "end" }));
  const count = ann.locator('#chats [href="#%40ben"] .count');
  await count.filter({ hasText: /^50/ }).waitFor();
  await ann.reload();
  await until("it goes on there", () => isInSight(ann.locator(".mark + .message").filter({ hasText: "part 31." })));
  await ann.context().close();
});

testOf(["mentions"], "a chat says that something in it is for whom it is shown to, also after a reload, until that is read", async () => {
  const [kim, lea] = [await it.server.person("kim"), await it.server.person("lea")];
  const page = await visit(it.browser, it.server.url);
  await connect(page, "moe");
  await page.goto(`${it.server.url}/#%40lea`);
  const count = page.locator('#chats [href="#common"] .count');
  await kim.post("/send", { to: "common", text: "for nobody" });
  await count.filter({ hasText: /^1/ }).waitFor();
  await kim.post("/send", { to: "common", text: "@Moe, for you" });
  await count.filter({ hasText: /^@ 2/ }).waitFor();
  await page.reload();
  await count.filter({ hasText: /^@ 2/ }).waitFor();
  await page.locator('#chats [href="#common"]').click();
  await count.waitFor({ state: "detached" });
  // Nobody wrote there yet, so no line of the list leads to it.
  await page.goto(`${it.server.url}/#%40lea`);
  await page.locator("#title").filter({ hasText: "lea" }).waitFor();
  await lea.post("/send", { to: "common", text: "for nobody" });
  await count.filter({ hasText: /^1/ }).waitFor();
  await page.context().close();
});

testOf(["ttl"], "two write and the old expires while one reads further up, and nothing jumps", async () => {
  const short = await Server.start(`${FREE}[features.ttl]\nafter = "6s"\n`);
  const [bob, eva] = [await short.person("bob"), await short.person("eva")];
  const ann = await visit(it.browser, short.url);
  await connect(ann, "ann");
  await post(bob, "common", 30, "early");
  await message(ann, "early 30.").waitFor();
  // So that these are gone while the next are there.
  await new Promise((go) => setTimeout(go, 2000));
  await post(bob, "common", 60, "late");
  await message(ann, "late 60.").waitFor();
  await message(ann, "late 20.").evaluate((node) => node.scrollIntoView({ block: "center" }));
  const place = await placeOf(ann, "late 20.");
  await Promise.all([post(bob, "common", 20, "bob says"), post(eva, "common", 20, "eva says")]);
  await message(ann, "eva says 20.").waitFor({ state: "attached" });
  await message(ann, "bob says 20.").waitFor({ state: "attached" });
  assert.ok(Math.abs((await placeOf(ann, "late 20.")) - place) < 2, "while others write");
  await ann.getByRole("button", { name: "↓ 40 new" }).waitFor();
  await message(ann, "early 30.").waitFor({ state: "detached" });
  assert.ok(Math.abs((await placeOf(ann, "late 20.")) - place) < 2, "while the old goes");
  await ann.context().close();
  await short.end();
});

test("a thousand messages are scrolled up to the first", async () => {
  const zed = await it.server.person("zed");
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ana");
  await post(zed, "@ana", 1000, "of many");
  await ann.goto(`${it.server.url}/#%40zed`);
  await ann.locator(".mark").waitFor();
  await ann.locator("#down").click();
  await ann.locator("#pass").click();
  await ann.locator("#pass").waitFor({ state: "hidden" });
  await ann.reload();
  await message(ann, "of many 1000.").waitFor();
  await ann.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (window.longest = Math.max(window.longest, duration)))).observe({ type: "longtask" });
  });
  await until("the first is there", async () => {
    await ann.locator("#scroll").evaluate((node) => (node.scrollTop = 0));
    return (await message(ann, "of many 1.").count()) === 1;
  });
  const order = await ann.locator("#messages .text").allTextContents();
  assert.deepEqual(order, Array.from({ length: 1000 }, (_, index) => `of many ${index + 1}.`));
  const longest = await ann.evaluate(() => window.longest);
  assert.ok(longest < 1000, `the page stood still for ${longest} ms`);
  await ann.context().close();
});

test("what turns the order of letters around, or hides, is shown as a sign", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "abe");
  const mallory = await it.server.person("mallory");
  await mallory.post("/send", { to: "common", text: "a line\r\nand another" });
  assert.equal(await message(ann, "a line").locator(".text").textContent(), "a line\nand another");
  await mallory.post("/send", { to: "common", text: "before \u202etxet\u202c \u2067a\u200bb\u2069 c\u200dd after" });
  await message(ann, "before \ufffdtxet\ufffd \ufffda\ufffdb\ufffd c\ufffdd after").waitFor();
  await mallory.post("/send", { to: "common", text: "👩🏽‍🚀 می‌خواهم שלום" });
  await message(ann, "👩🏽‍🚀 می‌خواهم שלום").waitFor();
  await ann.locator("#live").getByText(/before \ufffdtxet/).waitFor({ state: "attached" });
  const by = ann.locator("#messages .by bdi").filter({ hasText: "mallory" }).first();
  assert.equal(await by.evaluate((node) => getComputedStyle(node).unicodeBidi), "isolate");
  assert.equal(await ann.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u200b]/.test(document.body.innerText)), false);
  await ann.context().close();
});

testOf(["files", "rooms"], "a file's name and a room's title can't turn around either", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "amy");
  await ann.locator("#pick").setInputFiles({ name: "cat\u202egpj.exe", mimeType: "text/plain", buffer: Buffer.from("x") });
  await ann.locator("#files").getByText("cat\ufffdgpj.exe").waitFor();
  await say(ann, "a file");
  // The server leaves such a character out of a name.
  await message(ann, "a file").getByRole("button", { name: "catgpj.exe" }).locator("bdi").waitFor();
  const { room } = await it.server.call(await tokenOf(ann), "POST", "/rooms", { title: "Room \u202eeht" });
  await ann.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await ann.locator("#title").filter({ hasText: "Room \ufffdeht" }).waitFor();
  await ann.locator("#details").click();
  await ann.locator("#sheet-title").filter({ hasText: "Room \ufffdeht" }).waitFor();
  await ann.context().close();
});

test("long words and long names fit on the narrowest phone", async () => {
  const ann = await visit(it.browser, it.server.url, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  const name = "W".repeat(32);
  const long = await it.server.person(name);
  await connect(ann, "M".repeat(32));
  await long.post("/send", { to: `@${"M".repeat(32)}`, text: "w".repeat(900) });
  const fits = async (what) => {
    const width = await ann.evaluate(() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll("#scroll, #sheet, #chats")].map((node) => (node.scrollWidth > node.clientWidth ? 1e6 : 0))));
    assert.ok(width <= 360, `${what}: ${width}`);
  };
  await ann.locator("#chats .count").waitFor();
  await fits("the chats");
  await ann.locator("#chats a").filter({ hasText: name }).tap();
  await ann.locator("#messages .text").waitFor();
  await fits("a chat");
  await ann.locator("#text").fill(`https://example.org/${"x".repeat(300)}`);
  await ann.locator(".send").tap();
  await message(ann, "example.org").waitFor();
  await fits("a chat with a long address");
  for (const id of ["details", "later"]) {
    await ann.locator(`#${id}`).tap();
    await fits(id);
    await ann.locator("#close").tap();
  }
  await ann.context().close();
});

testOf(["files"], "a file's long name breaks in its card, on a wide screen and on a phone", async () => {
  const name = "n".repeat(240);
  for (const options of [{}, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true }]) {
    const page = await visit(it.browser, `${it.server.url}/#common`, options);
    await page.getByLabel("Your name").fill(options.isMobile ? "nan" : "nat");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.locator("#attach").waitFor();
    await page.locator("#pick").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from("n") });
    const wide = () => page.locator("#scroll, #composer, #chats, body").evaluateAll((nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.id || "body"));
    await page.locator("#files .name").waitFor();
    assert.deepEqual(await wide(), [], "where it is attached");
    await page.locator(".send").click();
    await page.locator("#messages button.file").filter({ hasText: name }).last().waitFor();
    assert.deepEqual(await wide(), [], "where it is sent");
    await page.context().close();
  }
});
