/** What the server refuses for now is waited for, what it refuses for good is said in plain words. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { FEATURES, Server, checkAccess, connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

const waiting = (page, text) => page.locator("#pending .message").filter({ hasText: text });

testOf(["rate_limit"], "over the limit a post waits with its time in sight, and is sent by itself", async () => {
  const strict = await Server.start('[features.rate_limit]\nmessages = 2\nper = "12s"\n');
  const ann = await visit(it.browser, strict.url);
  await connect(ann, "ann");
  for (const number of [1, 2, 3, 4, 5]) await say(ann, `number ${number}`);
  await waiting(ann, "number 3").getByText(/posted as much to everyone.*sent by itself in \d+ s/).waitFor();
  for (const text of ["number 4", "number 5"]) await waiting(ann, text).getByText("It is sent after that one.").waitFor();
  assert.equal(await ann.locator("#chat").getByText(/posted as much to everyone/).count(), 1, "it is said once");
  const left = waiting(ann, "number 3").getByRole("timer");
  const first = await left.textContent();
  await until("the time goes on", async () => (await left.textContent()) !== first);
  // What waits is not lost over a reload, and others are written to meanwhile.
  await ann.reload();
  await waiting(ann, "number 3").getByRole("timer").waitFor();
  await ann.goto(`${strict.url}/#%40ann`);
  await say(ann, "to myself");
  await message(ann, "to myself").waitFor();
  await ann.goto(`${strict.url}/#common`);
  await waiting(ann, "number 4").getByRole("button", { name: "Cancel" }).click();
  await waiting(ann, "number 4").waitFor({ state: "detached" });
  await waiting(ann, "number 5").getByRole("button", { name: "Edit" }).click();
  await until("its text is back", async () => (await ann.locator("#text").inputValue()) === "number 5");
  await message(ann, "number 3").waitFor();
  await waiting(ann, "number 3").waitFor({ state: "detached" });
  assert.deepEqual(await ann.locator("#messages .text").allTextContents(), ["number 1", "number 2", "number 3"]);
  await ann.context().close();
  await strict.end();
});

testOf(["rate_limit"], "how many messages are left is told until a time, which counts down once it is near", async () => {
  for (const [per, far] of [["1h", true], ["4s", false]]) {
    const strict = await Server.start(`[features.rate_limit]\nmessages = 1\nper = "${per}"\n`);
    const page = await visit(it.browser, strict.url);
    await connect(page, "nan");
    const told = page.locator("#told");
    await say(page, "the only one");
    if (far) {
      await told.filter({ hasText: /^No more messages to everyone until \d\d:\d\d\.$/ }).waitFor();
      await page.clock.setFixedTime(Date.now() + 52 * 60_000);
    }
    await told.filter({ hasText: far ? /^No more messages to everyone in the next [78] min \d+ s\.$/ : /in the next \d s\.$/ }).waitFor();
    await page.locator("#me").click();
    await page.getByText(/0 of 1 messages to everyone are left in the next \d/).waitFor();
    if (!far) await page.getByText("1 of 1 messages to everyone are left.").waitFor();
    if (!far) await until("it is over by itself", async () => (await told.textContent()) === "");
    await page.context().close();
    await strict.end();
  }
});

testOf(["complaints"], "a ban shows when it ends, and what was written goes out then", async () => {
  const strict = await Server.start('[features.complaints]\nwarnings = 1\nban = "6s"\n');
  const bob = await visit(it.browser, strict.url);
  await connect(bob, "bob");
  const ann = await strict.person("ann");
  await ann.post("/complaints", { user: "bob" });
  await bob.locator("#told").filter({ hasText: /You may not post until .*, for \d s/ }).waitFor();
  await say(bob, "I am sorry");
  await waiting(bob, "I am sorry").getByText(/You may not post until .*sent by itself in \d s/).waitFor();
  await message(bob, "I am sorry").waitFor();
  assert.equal(await bob.locator("#told").textContent(), "");
  await bob.context().close();
  await strict.end();
});

test("a refusal is said in plain words", async () => {
  const page = await visit(it.browser, it.server.url);
  await it.server.person("ora");
  await it.server.person("kept", "secret");
  const error = page.locator("#connect .error");
  const refused = async (name, password, words) => {
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel(/^Password/).fill(password);
    await page.getByRole("button", { name: "Connect" }).click();
    await error.filter({ hasText: words }).waitFor();
    assert.doesNotMatch(await error.textContent(), /`|token|client/);
    assert.equal(await page.getByLabel("Your name").inputValue(), name);
  };
  await refused("ora", "", /taken and has no password.*Choose another name\.$/);
  await refused("ora", "guessed", /taken and has no password.*Choose another name\.$/);
  await refused("kept", "", /has a password\. Type it, or choose another name\.$/);
  await refused("kept", "guessed", /that is not its password\. Type its password, or choose another name\.$/);
  await refused("a b", "", /A name has 1 to 32/);
  await connect(page, "pam");
  await page.goto(`${it.server.url}/#%40nobody-of-that-name`);
  await page.locator("#toast").getByText("There is nobody of that name").waitFor();
  await checkAccess(page, "a toast");
  const box = (id) => page.locator(id).boundingBox();
  const toast = await box("#toast");
  for (const id of ["#chat > header", "#scroll", "#composer", "#side > header"]) {
    const other = await box(id);
    assert.ok(toast.y + toast.height <= other.y || other.y + other.height <= toast.y, `${id} is covered`);
  }
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.locator("#toast").waitFor({ state: "hidden" });
  assert.ok(await page.evaluate(() => document.activeElement !== document.body), "the focus is somewhere");
  await page.goto(`${it.server.url}/#%`);
  await page.locator("#title").filter({ hasText: "Everyone" }).waitFor();
  await page.context().close();
});

testOf(["rooms"], "a dead link says so, and what is said while the sheet is open can be read there", async () => {
  const page = await visit(it.browser, `${it.server.url}/join/nothing`);
  await connect(page, "pat");
  await page.getByRole("button", { name: "Ask to come in" }).click();
  await page.getByRole("heading", { name: "This link does not work" }).waitFor();
  assert.equal(await page.getByText(/Its owner will see your name/).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Ask to come in" }).count(), 0);
  await until("the focus stays in the sheet", () => page.evaluate(() => document.activeElement.id === "sheet-title"));
  await page.keyboard.press("Escape");
  const { room } = await it.server.call(await tokenOf(page), "POST", "/rooms", { title: "Shed" });
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#title").filter({ hasText: "Shed" }).waitFor();
  await page.locator("#details").click();
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.locator("#sheet #toast").getByText("The link is ready to copy.").waitFor();
  await checkAccess(page, "a toast in the sheet");
  await page.context().close();
});

testOf(["rooms"], "where there are no rooms a link says so at once", async () => {
  const bare = await Server.start("[features.rooms]\nenabled = false\n");
  const page = await visit(it.browser, `${bare.url}/join/abc`);
  await connect(page, "pim");
  await page.locator("#sheet").getByText("This server has no rooms, so the link leads nowhere.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Ask to come in" }).count(), 0);
  await checkAccess(page, "a link without rooms");
  await page.context().close();
  await bare.end();
});

testOf(["schedule"], "a time is chosen in the time zone of the browser", async () => {
  const page = await visit(it.browser, it.server.url, { timezoneId: "Asia/Tokyo" });
  await connect(page, "aki");
  await page.locator("#text").fill("good morning");
  await page.locator("#when").click();
  await page.getByText("Times are those of Asia/Tokyo.").waitFor();
  const day = new Date(Date.now() + 48 * 3600_000).toISOString().slice(0, 10);
  await page.getByLabel("At", { exact: true }).fill(`${day}T09:00`);
  await page.getByRole("button", { name: "Schedule", exact: true }).click();
  await page.locator("#sheet").waitFor({ state: "hidden" });
  const { scheduled } = await it.server.call(await tokenOf(page), "GET", "/scheduled");
  assert.equal(scheduled[0].at, `${day}T00:00:00.000Z`);
  await page.locator("#later").click();
  await page.locator(".later").getByText(/09:00/).waitFor();
  await page.context().close();
});

test("a client that is signed out from elsewhere says so", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "sid", "s");
  const other = await visit(it.browser, it.server.url);
  await connect(other, "sid", "s");
  await page.locator("#me").click();
  await page.getByRole("button", { name: /^Sign out Chrome/ }).click();
  await other.getByText("You were signed out.").waitFor();
  await until("one is left", async () => (await page.locator("#sheet .people li").count()) === 1);
  await connect(other, "sid", "s");
  await until("both are listed", async () => (await page.locator("#sheet .people li").count()) === 2);
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByText("You are signed out.").waitFor();
  await other.getByText("You were signed out.").waitFor();
  await page.context().close();
  await other.context().close();
});

test("only who connected without a password is told that the name is lost", async () => {
  for (const [password, count] of [["p", 0], ["", 1]]) {
    const page = await visit(it.browser, it.server.url);
    await connect(page, `lost-${count}`, password);
    await page.reload();
    await page.locator("#chats a").first().waitFor();
    await page.locator("#me").click();
    await page.locator("#sheet .people li").waitFor();
    assert.equal(await page.getByText("This name has no password: it is lost when its last client is signed out.").count(), count);
    assert.equal(await page.getByText("ithout a password").count(), 0);
    await page.context().close();
  }
});

test("Enter sends where there are keys, and begins a line where the screen is touched; with Ctrl it sends everywhere", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "kit");
  const text = page.locator("#text");
  await text.fill("with keys");
  await text.press("Shift+Enter");
  await text.press("Control+Enter");
  await message(page, "with keys").waitFor();
  await page.context().close();
  const phone = await visit(it.browser, it.server.url, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  await connect(phone, "kat");
  await phone.locator("#chats a").first().tap();
  await phone.locator("#text").fill("one");
  await phone.locator("#text").press("Enter");
  assert.equal(await phone.locator("#text").inputValue(), "one\n");
  await phone.locator("#text").press("Control+Enter");
  await message(phone, "one").waitFor();
  await phone.context().close();
});

test("where motion is not wanted nothing moves", async () => {
  for (const [reducedMotion, moves] of [["reduce", "none"], ["no-preference", "in"]]) {
    const page = await visit(it.browser, it.server.url, { reducedMotion });
    await connect(page, `mo-${moves}`);
    await page.locator("#me").click();
    assert.equal(await page.locator("#sheet").evaluate((node) => getComputedStyle(node).animationName), moves);
    await page.context().close();
  }
});

test("Escape closes what is open at once, also from a field to search in with words in it", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "esa");
  for (const [id, field] of [["new", "Find somebody by name"], ...(FEATURES.includes("search") ? [["find", "Words to find"]] : [])]) {
    await page.locator(`#${id}`).click();
    await page.getByLabel(field).fill("words");
    await page.getByLabel(field).press("Escape");
    await page.locator("#sheet").waitFor({ state: "hidden", timeout: 1000 });
  }
  await page.context().close();
});

test("a file that is dropped beside the chat is not opened in the place of the page", async () => {
  const page = await visit(it.browser, it.server.url);
  const isOpened = (id, kind, type) => page.evaluate(([id, kind, type]) => {
    const dataTransfer = new DataTransfer();
    if (type === "Files") dataTransfer.items.add(new File(["x"], "x.txt"));
    else dataTransfer.setData("text/plain", "x");
    const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
    return document.querySelector(id).dispatchEvent(event);
  }, [id, kind, type]);
  for (const kind of ["dragover", "drop"]) assert.equal(await isOpened("#door", kind, "Files"), false, `${kind} at the door`);
  await connect(page, "dov");
  for (const kind of ["dragover", "drop"]) {
    assert.equal(await isOpened("#chats", kind, "Files"), false, kind);
    assert.equal(await isOpened("#chats", kind, "text"), true, "a text is the browser's to take");
  }
  await page.context().close();
});
