/** The page in a real browser: what people do with it. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { FEATURES, Server, checkAccess, complaints, connect, message, say, stage, tab, testOf, until, visit } from "./stage.mjs";

/** A picture of one pixel. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

/** Settings of a server that has a stream for one reader alone. */
const ONE_STREAM = "[server]\nstreams = 1\n";

const it = stage();

test("two people chat, and what is unread is counted until it is looked at", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(ann, "ann", "one");
  await connect(bob, "bob");
  await say(ann, "hello <b>everyone</b>");
  await message(bob, "hello <b>everyone</b>").waitFor();
  await bob.locator("#live").getByText("ann to everyone: hello <b>everyone</b>").or(bob.locator("#live").getByText("ann: hello <b>everyone</b>")).first().waitFor({ state: "attached" });
  assert.equal(await bob.locator("#messages .text b").count(), 0);
  await ann.locator("#new").click();
  await ann.getByRole("button", { name: /^bob/ }).click();
  await say(ann, "in private");
  const row = bob.locator('#chats [href="#%40ann"]');
  await row.locator(".count").waitFor();
  assert.match(await bob.title(), /^\(1\)/);
  await row.click();
  await message(bob, "in private").waitFor();
  await row.locator(".count").waitFor({ state: "detached" });
  assert.equal(await bob.locator(".mark + .message").filter({ hasText: "in private" }).count(), 1);
  await say(bob, "and back");
  await message(ann, "and back").waitFor();
  await ann.context().close();
  await bob.context().close();
});

test("the token is in the storage of the page alone, and in no address", async () => {
  const page = await visit(it.browser, it.server.url);
  const addresses = [];
  page.context().on("request", (request) => addresses.push(request.url()));
  await connect(page, "toni");
  await say(page, "who am I");
  await message(page, "who am I").waitFor();
  const { token } = await page.evaluate(() => JSON.parse(localStorage.getItem("veche.session")));
  assert.ok(addresses.length > 3);
  assert.deepEqual(addresses.filter((address) => address.includes(token)), []);
  assert.deepEqual(await page.context().cookies(), []);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.context().close();
});

test("a name with a password is had again with it, and with no other", async () => {
  const page = await visit(it.browser, it.server.url);
  await page.getByLabel("Your name").fill("ann");
  await page.getByLabel(/^Password/).fill("another");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.locator("#connect .error").filter({ hasText: /password/i }).waitFor();
  await connect(page, "ann", "one");
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Sign out here" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  await page.context().close();
});

test("the older messages come by scrolling up, and the reader stays in place", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "reader", "r");
  const reader = await page.evaluate(() => JSON.parse(localStorage.getItem("veche.session")).token);
  for (let number = 1; number <= 130; number += 1) await it.server.call(reader, "POST", "/send", { to: "@me", text: `note ${number}.` });
  await page.goto(`${it.server.url}/#%40reader`);
  await message(page, "note 130.").waitFor();
  assert.equal(await message(page, "note 20.").count(), 0);
  let release;
  const held = new Promise((go) => (release = go));
  await page.route("**/messages?*before=*", async (route) => {
    await held;
    await route.continue();
  });
  const placeOf = (text) => message(page, text).evaluate((node) => node.getBoundingClientRect().top);
  await page.locator("#scroll").evaluate((node) => (node.scrollTop = 200));
  const place = await placeOf("note 90.");
  release();
  await message(page, "note 50.").waitFor({ state: "attached" });
  assert.ok(Math.abs((await placeOf("note 90.")) - place) < 2, "the reader stays in place");
  await until("the first note is there", async () => {
    await page.locator("#scroll").evaluate((node) => (node.scrollTop = 0));
    return (await message(page, "note 1.").count()) === 1;
  });
  const order = await page.locator("#messages .text").allTextContents();
  assert.deepEqual(order, Array.from({ length: 130 }, (_, index) => `note ${index + 1}.`));
  await page.context().close();
});

testOf(["files"], "a file goes over by choosing, dropping and pasting, and a picture is shown from a blob", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(ann, "fay");
  await connect(bob, "fred");
  await ann.locator("#pick").setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: PNG });
  await ann.locator("#files li").waitFor();
  await say(ann, "look at this");
  const image = message(bob, "look at this").locator("img");
  await until("the picture is shown", () => image.evaluate((node) => node.naturalWidth === 1).catch(() => false));
  assert.match(await image.getAttribute("src"), /^blob:/);
  await ann.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["bread, salt"], "list.txt", { type: "text/plain" }));
    document.getElementById("chat").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await ann.locator("#files li").filter({ hasText: "list.txt" }).waitFor();
  await ann.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["more"], "pasted.txt", { type: "text/plain" }));
    document.getElementById("text").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await ann.locator("#files li").filter({ hasText: "pasted.txt" }).waitFor();
  await ann.locator(".send").click();
  const saved = bob.waitForEvent("download");
  await bob.getByRole("button", { name: /^list\.txt/ }).click();
  assert.equal((await saved).suggestedFilename(), "list.txt");
  await bob.getByRole("button", { name: /^pasted\.txt/ }).waitFor();
  await ann.context().close();
  await bob.context().close();
});

testOf(["files"], "a picture has the room that there is, and is seen whole", async () => {
  const page = await visit(it.browser, it.server.url, { viewport: { width: 1280, height: 800 } });
  await connect(page, "pax");
  for (const [width, height] of [[2400, 1200], [600, 2400], [64, 64]]) {
    const name = `${width}.png`;
    const bytes = await page.evaluate(([width, height]) => Object.assign(document.createElement("canvas"), { width, height }).toDataURL().split(",")[1], [width, height]);
    await page.locator("#pick").setInputFiles({ name, mimeType: "image/png", buffer: Buffer.from(bytes, "base64") });
    await page.locator("#files progress").waitFor({ state: "detached" });
    await page.locator("#files li").waitFor();
    await say(page, name);
    await message(page, name).locator("button.picture").click();
    const image = page.locator("#sheet img");
    await until("it is loaded", () => image.evaluate((node) => node.naturalWidth > 0));
    const box = await image.boundingBox();
    assert.ok(Math.abs(box.width / box.height - width / height) < 0.02, `${name} keeps its form`);
    for (const [view, least] of [[{ width: 1280, height: 800 }, width > 1280 ? 1150 : height > 800 ? 140 : 64], [{ width: 390, height: 780 }, Math.min(width, 120)]]) {
      await page.setViewportSize(view);
      const { x, width: wide, height: high } = await image.boundingBox();
      assert.ok(wide >= least && wide <= width && high <= height, `${name} is ${wide} wide of ${view.width}`);
      assert.ok(x >= 0 && x + wide <= view.width, `${name} is whole`);
      const button = await page.getByRole("button", { name: "Save" }).boundingBox();
      assert.ok(button.y + button.height <= view.height, `${name} leaves its buttons in sight`);
    }
    await page.keyboard.press("Escape");
    await page.setViewportSize({ width: 1280, height: 800 });
  }
  await page.context().close();
});

test("on a very narrow screen an empty field is one line", async () => {
  const page = await visit(it.browser, `${it.server.url}/#common`, { viewport: { width: 320, height: 600 } });
  await page.getByLabel("Your name").fill("tiny");
  await page.getByRole("button", { name: "Connect" }).click();
  const text = page.locator("#text");
  const height = () => text.evaluate((node) => node.clientHeight / parseFloat(getComputedStyle(node).lineHeight));
  await until("the field says whom to", async () => /Write to/.test(await text.getAttribute("placeholder") ?? ""));
  await say(page, "from a tiny screen");
  await message(page, "from a tiny screen").waitFor();
  assert.ok((await height()) < 2, "one line");
  await page.context().close();
});

/** Holds the uploads of a page whose name a pattern finds; gives what lets them go. */
async function hold(page, names) {
  let release;
  const held = new Promise((go) => (release = go));
  await page.route(names, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  return release;
}

const textFile = (name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) });

testOf(["files"], "what is sent while its file goes up waits under the messages, whatever is said and looked at meanwhile", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "una");
  const bob = await it.server.person("una-reads");
  const release = await hold(ann, "**/files?name=slow*");
  await ann.locator("#pick").setInputFiles(textFile("slow.txt"));
  await ann.locator("#files progress").waitFor();
  await say(ann, "with a file");
  assert.equal(await ann.locator("#text").inputValue(), "");
  assert.equal(await ann.locator("#files li").count(), 0);
  const waiting = ann.locator("#pending .message");
  await waiting.filter({ hasText: /with a file.*slow\.txt.*It is sent as soon as its file is uploaded\./s }).locator("progress").waitFor();
  await checkAccess(ann, "a file that goes up");
  // A text waits for no file, a file for those before it.
  await say(ann, "said meanwhile");
  await message(ann, "said meanwhile").waitFor();
  await ann.locator("#pick").setInputFiles(textFile("quick.txt"));
  await say(ann, "a second file");
  await waiting.filter({ hasText: /a second file.*It is sent after that one\./s }).waitFor();
  await ann.goto(`${it.server.url}/#%40una`);
  await say(ann, "a note");
  await message(ann, "a note").waitFor();
  release();
  const said = async () => (await bob.get("/messages?chat=common")).messages.filter(({ from }) => from === "una");
  await until("all is sent", async () => (await said()).length === 3);
  assert.deepEqual((await said()).map(({ text, file }) => [text, file?.name]), [["said meanwhile", undefined], ["with a file", "slow.txt"], ["a second file", "quick.txt"]]);
  await ann.goto(`${it.server.url}/#common`);
  await message(ann, "with a file").getByRole("button", { name: /^slow\.txt/ }).waitFor();
  assert.equal(await waiting.count(), 0);
  await ann.context().close();
});

testOf(["files"], "what waits for its file can be taken back, cancelled and tried again, and says so where it was not sent", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ute");
  ann.on("dialog", (dialog) => dialog.accept());
  let release = await hold(ann, "**/files?*");
  const waiting = ann.locator("#pending .message");
  const press = (name) => waiting.getByRole("button", { name }).click();
  const enter = async (words) => {
    await ann.locator("#pick").setInputFiles(textFile("plan.txt"));
    await say(ann, words);
    await waiting.locator("progress").waitFor();
  };
  await enter("taken back");
  await press("Edit");
  await waiting.waitFor({ state: "detached" });
  assert.equal(await ann.locator("#text").inputValue(), "taken back");
  assert.equal(await ann.locator("#files li").count(), 1);
  await ann.locator("#files progress").waitFor();
  await say(ann, "taken back, and changed");
  release();
  await message(ann, "taken back, and changed").getByRole("button", { name: /^plan\.txt/ }).waitFor();
  await ann.unroute("**/files?*");
  release = await hold(ann, "**/files?*");
  await enter("better not");
  await press("Cancel");
  await waiting.waitFor({ state: "detached" });
  release();
  await ann.unroute("**/files?*");
  await ann.route("**/files?*", (route) => route.abort(), { times: 1 });
  await ann.locator("#attach").waitFor();
  await ann.evaluate(() => {
    // Entered before the upload has failed.
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (body) {
      setTimeout(() => send.call(this, body), 500);
    };
  });
  await enter("at the second try");
  await waiting.filter({ hasText: "Waits for the connection" }).waitFor();
  await message(ann, "at the second try").getByRole("button", { name: /^plan\.txt/ }).waitFor();
  release = await hold(ann, "**/files?*");
  await enter("lost with the page");
  const twin = await tab(ann.context(), `${it.server.url}/#common`);
  await twin.locator("#pending").getByText("Its file is being uploaded by another tab.").waitFor();
  await ann.reload();
  for (const page of [ann, twin]) await page.locator("#pending .failed").getByText(/Not sent: its file was still on its way when the page was left\./).waitFor();
  await press("Edit");
  assert.equal(await ann.locator("#text").inputValue(), "lost with the page");
  await ann.locator("#files").getByRole("button", { name: "Attach again" }).waitFor();
  await twin.locator("#pending .failed").waitFor({ state: "detached" });
  assert.equal(await message(ann, "better not").count(), 0);
  release();
  await ann.context().close();
});

testOf(["files"], "a file that is refused says why, and is tried again", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "uma");
  await ann.route("**/files?*", (route) => route.fulfill({ status: 429, json: { code: "too_many", detail: "enough for now" } }), { times: 1 });
  await ann.locator("#pick").setInputFiles({ name: "again.txt", mimeType: "text/plain", buffer: Buffer.from("again") });
  await ann.locator("#files").getByText("Enough for now.").waitFor();
  await ann.locator("#files").getByRole("button", { name: "Try again" }).click();
  await ann.locator(".send").click();
  await ann.getByRole("button", { name: /^again\.txt/ }).waitFor();
  await ann.context().close();
});

testOf(["files"], "a file that is too large is refused before it is sent, and for good", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ugo");
  let uploads = 0;
  ann.on("request", (request) => (uploads += request.method() === "POST" && request.url().includes("/files")));
  const over = ann.locator("#files .failed");
  const refused = async (bytes, words) => {
    await ann.locator("#pick").setInputFiles({ name: "large.bin", mimeType: "text/plain", buffer: Buffer.alloc(bytes) });
    await over.getByText(words).waitFor();
    assert.equal(await over.getByRole("button", { name: "Try again" }).count(), 0);
    await ann.locator("#told").getByText("A file is too large: remove it.").waitFor();
    await over.getByRole("button", { name: "Remove large.bin" }).click();
    await over.waitFor({ state: "detached" });
  };
  await refused(6 * 1024 * 1024, "It has 6 MiB; a file may have 5 MiB.");
  await refused(5 * 1024 * 1024 + 1, "It has 5.1 MiB; a file may have 5 MiB.");
  assert.equal(uploads, 0);
  // One that was allowed when the page was loaded.
  const problem = { code: "too_large", status: 413, detail: "too large", max: 1000 };
  await ann.route("**/files?*", (route) => route.fulfill({ status: 413, contentType: "application/problem+json", body: JSON.stringify(problem) }));
  await refused(1024, "It has 1 KiB; a file may have 1000 B.");
  await ann.context().close();
});

testOf(["files"], "a page that uploads asks before it is left, and says after that which file was not sent", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "uta");
  const asked = [];
  ann.on("dialog", (dialog) => {
    asked.push(dialog.type());
    dialog.accept();
  });
  const held = [];
  await ann.route("**/files?*", (route) => held.push(route));
  const attach = () => ann.locator("#pick").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("plan") });
  await ann.locator("#text").click();
  await ann.locator("#text").fill("see the plan");
  await attach();
  await ann.locator("#files progress").waitFor();
  // Another chat, and back: it is the same upload still.
  await ann.goto(`${it.server.url}/#%40uta`);
  await ann.locator("#files progress").waitFor({ state: "detached" });
  await ann.goto(`${it.server.url}/#common`);
  await ann.locator("#files progress").waitFor();
  assert.equal(await ann.locator("#files li").count(), 1);
  await ann.reload();
  assert.deepEqual(asked, ["beforeunload"]);
  const lost = ann.locator("#files .failed");
  await lost.filter({ hasText: /plan\.txt.*Not uploaded: the page was reloaded\./ }).waitFor();
  assert.equal(await ann.locator("#text").inputValue(), "see the plan");
  await ann.locator("#title").filter({ hasText: "Everyone" }).waitFor();
  await checkAccess(ann, "a file that was not sent");
  await ann.locator("#text").press("Enter");
  await ann.locator("#told").getByText("A file was not sent: attach it again, or remove it.").waitFor();
  const other = await tab(ann.context(), it.server.url);
  await until("the draft is there", async () => (await other.locator("#text").inputValue()) === "see the plan");
  assert.equal(await other.locator("#files li").count(), 0, "what another tab uploads is not lost here");
  const chooser = ann.waitForEvent("filechooser");
  await lost.getByRole("button", { name: "Attach again" }).click();
  await chooser;
  await ann.unroute("**/files?*");
  await attach();
  await lost.waitFor({ state: "detached" });
  assert.equal(await ann.locator("#files li").count(), 1);
  await ann.locator("#files progress").waitFor({ state: "detached" });
  await ann.locator("#text").press("Enter");
  await message(ann, "see the plan").getByRole("button", { name: /^plan\.txt/ }).waitFor();
  await ann.reload();
  assert.deepEqual(asked, ["beforeunload"], "nothing is under way");
  await ann.locator("#chats a").first().waitFor();
  assert.equal(await ann.locator("#files li").count(), 0);
  await ann.context().close();
});

testOf(["files"], "a file that is handed on is not yet said to be there", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ulf");
  await ann.evaluate(() => {
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (body) {
      window.uploading = this;
      send.call(this, body);
    };
  });
  let release;
  const held = new Promise((go) => (release = go));
  await ann.route("**/files?*", async (route) => {
    await held;
    await route.continue();
  });
  await ann.locator("#pick").setInputFiles({ name: "slow.txt", mimeType: "text/plain", buffer: Buffer.from("slow") });
  const bar = ann.locator("#files progress");
  await bar.waitFor();
  // The browser tells that all of it is handed on, as it does with a small file and a slow line.
  await ann.evaluate(() => window.uploading.upload.onprogress({ loaded: 4, total: 4 }));
  await ann.locator("#files").getByText("sending…").waitFor();
  assert.equal(await bar.evaluate((node) => node.position), -1, "how far is not known");
  release();
  await bar.waitFor({ state: "detached" });
  await ann.context().close();
});

testOf(["comments"], "a comment is counted on its message and shown to others at once", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(ann, "cora");
  await connect(bob, "carl");
  await say(ann, "what of this");
  await message(bob, "what of this").hover();
  await message(bob, "what of this").getByRole("button", { name: "Comment" }).click();
  await bob.getByRole("textbox", { name: "Comment" }).fill("much");
  await bob.getByRole("textbox", { name: "Comment" }).press("Enter");
  await bob.locator(".comments .text").filter({ hasText: "much" }).waitFor();
  await message(ann, "what of this").getByRole("button", { name: "1 comment" }).click();
  await ann.locator(".comments .text").filter({ hasText: "much" }).waitFor();
  await ann.context().close();
  await bob.context().close();
});

testOf(["comments"], "on a wide screen comments are beside the chat, and one reads and writes in both", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "wim");
  await say(page, "talk of this");
  await message(page, "talk of this").hover();
  await message(page, "talk of this").getByRole("button", { name: "Comment" }).click();
  const sheet = page.locator("#sheet");
  const isModal = () => sheet.evaluate((node) => node.matches(":modal"));
  assert.equal(await isModal(), false);
  const comment = page.getByRole("textbox", { name: "Comment" });
  await until("one can comment at once", () => comment.evaluate((node) => node === document.activeElement));
  await comment.fill("a comment");
  await comment.press("Enter");
  await page.locator(".comments .text").getByText("a comment").waitFor();
  await say(page, "and in the chat");
  await message(page, "and in the chat").waitFor();
  await comment.fill("half a com");
  const [chat, column] = [await page.locator("#chat").boundingBox(), await sheet.boundingBox()];
  assert.ok(chat.x + chat.width <= column.x, "neither covers the other");
  assert.ok(chat.width > 300);
  await checkAccess(page, "comments beside the chat");
  // On a narrow screen it is over the chat, and what was typed stays.
  await page.setViewportSize({ width: 900, height: 760 });
  await until("it is modal", isModal);
  await page.setViewportSize({ width: 1000, height: 760 });
  await until("it is not", async () => !(await isModal()));
  assert.ok((await page.locator("#chat").boundingBox()).width > 300);
  assert.equal(await comment.inputValue(), "half a com");
  assert.ok(await comment.evaluate((node) => node === document.activeElement), "one types on");
  // Something else takes its place for a while, and Escape closes each.
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Sign out here" }).waitFor();
  assert.ok(await isModal());
  assert.equal(await comment.count(), 0);
  const id = await message(page, "talk of this").getAttribute("data-id");
  const other = await it.server.person("wyn");
  await other.post(`/messages/${id}/comments`, { text: "said meanwhile" });
  await page.keyboard.press("Escape");
  await until("the comments are back", async () => (await comment.count()) === 1 && !(await isModal()));
  await page.locator(".comments .text").getByText("said meanwhile").waitFor();
  assert.equal(await comment.inputValue(), "half a com");
  await until("the focus is where one went from", () => page.locator("#me").evaluate((node) => node === document.activeElement));
  await comment.focus();
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });
  await message(page, "talk of this").getByRole("button", { name: "2 comments" }).click();
  await until("the draft is there", async () => (await comment.inputValue()) === "half a com");
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });
  await until("the message has the focus", () => message(page, "talk of this").evaluate((node) => node.contains(document.activeElement)));
  await until("the chat has its room again", async () => (await page.locator("#chat").boundingBox()).width > 600);
  // The comments of a chat go with it, also where something else has their place.
  for (const isOver of [false, true]) {
    await page.goto(`${it.server.url}/#common`);
    await message(page, "talk of this").getByRole("button", { name: "2 comments" }).click();
    await comment.waitFor();
    if (isOver) await page.locator("#me").click();
    await page.goto(`${it.server.url}/#%40wim`);
    await page.locator("#title").filter({ hasText: "Notebook" }).waitFor();
    await sheet.waitFor({ state: "hidden" });
    await until("the chat has its room again", async () => (await page.locator("#chat").boundingBox()).width > 600);
  }
  await page.context().close();
});

testOf(["comments"], "a comment that is too long is not cut, and is said to be so before it is sent", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "liv");
  await say(ann, "to be commented at length");
  await message(ann, "to be commented at length").hover();
  await message(ann, "to be commented at length").getByRole("button", { name: "Comment" }).click();
  const field = ann.getByLabel("Comment", { exact: true });
  await field.fill("y".repeat(4100));
  await ann.locator("#sheet").getByText("4100 of 4000 characters: 100 too many.").waitFor();
  await field.press("Enter");
  await ann.locator("#sheet .failed").getByText("It has 4100 characters, and 4000 are allowed. Shorten it by 100.").waitFor();
  await ann.context().close();
});

testOf(["comments"], "the reader stays in place when comments open beside the chat, and close", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "wes", "w");
  const wes = await page.evaluate(() => JSON.parse(localStorage.getItem("veche.session")).token);
  for (let number = 1; number <= 30; number += 1) await it.server.call(wes, "POST", "/send", { to: "@me", text: `line ${number}. ${"and so it goes on ".repeat(12)}` });
  await page.goto(`${it.server.url}/#%40wes`);
  await message(page, "line 30.").waitFor();
  const comments = message(page, "line 15.").getByRole("button", { name: "Comment" });
  const placeOf = (text) => message(page, text).evaluate((node) => node.getBoundingClientRect().top);
  const isThere = async (text, place) => until(`${text} stays`, async () => Math.abs((await placeOf(text)) - place) < 2);
  const width = async () => (await page.locator("#chat").boundingBox()).width;
  const wide = await width();
  await message(page, "line 15.").scrollIntoViewIfNeeded();
  await message(page, "line 15.").hover();
  const before = await placeOf("line 15.");
  await comments.click();
  await until("the chat is narrower", async () => (await width()) < wide);
  await isThere("line 15.", before);
  const first = await page.evaluate(() => [...document.querySelectorAll("#messages .message")].find((node) => node.getBoundingClientRect().bottom > document.getElementById("scroll").getBoundingClientRect().top).textContent.match(/line \d+\./)[0]);
  const place = await placeOf(first);
  await page.keyboard.press("Escape");
  await until("the chat is wide again", async () => (await width()) === wide);
  await isThere(first, place);
  // Who is at the end stays there.
  await page.locator("#down").click();
  await message(page, "line 30.").hover();
  await message(page, "line 30.").getByRole("button", { name: "Comment" }).click();
  await until("the chat is narrower", async () => (await width()) < wide);
  await until("it is the end", () => page.locator("#scroll").evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight < 2));
  assert.equal(await page.locator("#down").isVisible(), false);
  await page.context().close();
});

for (const first of ["event", "answer"]) {
  testOf(["comments"], `a post is shown once, where its ${first} comes first`, async () => {
    const isEvent = first === "event";
    const ann = await visit(it.browser, it.server.url);
    // What the stream brings is held back where it comes in.
    await ann.context().addInitScript(() => {
      window.held = [];
      window.isHolding = false;
      const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
      Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
        set(take) {
          set.call(this, (event) => (window.isHolding && event.data.events ? window.held.push(() => take(event)) : take(event)));
        },
      });
    });
    await ann.reload();
    await connect(ann, `una-${first}`);
    await say(ann, `of the ${first}`);
    await message(ann, `of the ${first}`).hover();
    await message(ann, `of the ${first}`).getByRole("button", { name: "Comment" }).click();
    const posted = async (path, write, seen) => {
      let answer;
      const answered = new Promise((go) => (answer = go));
      if (isEvent) {
        await ann.route(path, async (route) => {
          const response = await route.fetch();
          await answered;
          await route.fulfill({ response });
        }, { times: 1 });
      } else await ann.evaluate(() => (window.isHolding = true));
      await write();
      await until("it is shown as posted", async () => (await seen.locator("time").count()) === 1);
      assert.equal(await seen.count(), 1, "before the other");
      answer();
      if (!isEvent) await until("its event is there", () => ann.evaluate(() => window.held.length > 0));
      await ann.evaluate(() => {
        window.isHolding = false;
        window.held.splice(0).forEach((take) => take());
      });
      await until("nothing waits", () => ann.evaluate(() => !Object.keys(localStorage).some((key) => key.includes(".post."))));
      assert.equal(await seen.count(), 1, "after the other");
    };
    const field = ann.getByRole("textbox", { name: "Comment" });
    await field.fill("much");
    await posted("**/comments", () => field.press("Enter"), ann.locator(".comments li").filter({ hasText: "much" }));
    await ann.keyboard.press("Escape");
    await message(ann, `of the ${first}`).getByRole("button", { name: "1 comment" }).waitFor();
    await posted("**/send", () => say(ann, `after the ${first}`), ann.locator("#scroll .message").filter({ hasText: `after the ${first}` }));
    await ann.context().close();
  });
}

testOf(["rooms"], "a room is joined by a link and an approval", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ria");
  await ann.locator("#new").click();
  await ann.getByText("New room").click();
  await ann.getByLabel("Title").fill("Kitchen");
  await ann.getByRole("button", { name: "Make the room" }).click();
  await ann.locator("#title").filter({ hasText: "Kitchen" }).waitFor();
  await ann.locator("#details").click();
  await ann.getByRole("button", { name: "Make a link" }).click();
  const link = await ann.getByLabel(/^The link made/).inputValue();
  const bob = await visit(it.browser, link);
  await connect(bob, "rob");
  await bob.getByRole("button", { name: "Ask to come in" }).click();
  await bob.getByText(/You asked to come into Kitchen/).waitFor();
  assert.equal(new URL(bob.url()).pathname, "/");
  await ann.getByRole("button", { name: "Let in rob" }).click();
  await bob.getByRole("button", { name: "Close" }).first().click();
  await bob.locator("#chats a").filter({ hasText: "Kitchen" }).click();
  await say(bob, "thanks");
  await ann.locator("#close").click();
  await message(ann, "thanks").waitFor();
  await ann.context().close();
  await bob.context().close();
});

testOf(["rooms"], "an invitation is taken, and a member is removed", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(bob, "ivo");
  await connect(ann, "ira");
  await ann.locator("#new").click();
  await ann.getByText("New room").click();
  await ann.getByLabel("Title").fill("Garden");
  await ann.getByRole("button", { name: "Make the room" }).click();
  await ann.locator("#title").filter({ hasText: "Garden" }).waitFor();
  await ann.locator("#details").click();
  await ann.getByLabel("Invite").fill("ivo");
  await ann.getByRole("button", { name: "Invite", exact: true }).click();
  await bob.getByRole("button", { name: "Join" }).click();
  await bob.locator("#title").filter({ hasText: "Garden" }).waitFor();
  await ann.getByRole("button", { name: "Remove ivo" }).click();
  await bob.locator("#chats a").filter({ hasText: "Garden" }).waitFor({ state: "detached" });
  await ann.context().close();
  await bob.context().close();
});

testOf(["schedule"], "a message for later waits, and is cancelled", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "sue");
  await ann.locator("#text").fill("lunch?");
  await ann.locator("#when").click();
  await ann.getByRole("button", { name: "In an hour" }).click();
  await ann.locator("#sheet").waitFor({ state: "hidden" });
  assert.equal(await ann.locator("#text").inputValue(), "");
  assert.equal(await ann.locator("#chats").getByText("Draft:").count(), 0);
  await ann.locator("#later").click();
  await ann.locator(".later").getByText("lunch?").waitFor();
  await ann.getByRole("button", { name: "Cancel" }).click();
  await ann.locator(".later li").waitFor({ state: "detached" });
  await ann.context().close();
});

testOf(["complaints"], "a complaint is made, and the accused alone is told", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(ann, "mia");
  await connect(bob, "max");
  await say(bob, "buy this");
  await message(ann, "buy this").hover();
  await message(ann, "buy this").getByRole("button", { name: "About max" }).click();
  await ann.getByText("Complain about max").click();
  await ann.getByLabel("Reason, if you like").fill("again and again");
  await ann.getByRole("button", { name: "Complain", exact: true }).click();
  await ann.getByText("max has 1 of 3 warnings").first().waitFor();
  await bob.locator("#me").click();
  await bob.getByText("You have 1 of 3 warnings.").waitFor();
  await ann.context().close();
  await bob.context().close();
});

test("the server is killed and comes back, and nothing that was typed is lost", async () => {
  const ann = await visit(it.browser, it.server.url);
  const bob = await visit(it.browser, it.server.url);
  await connect(ann, "kim");
  await connect(bob, "ken");
  await say(ann, "before");
  await message(bob, "before").waitFor();
  assert.equal(await bob.locator(".mark").count(), 0, "who looks has nothing new");
  await it.server.kill();
  await ann.locator("#link").filter({ hasText: "Offline" }).waitFor();
  await say(ann, "during the outage");
  await ann.locator("#pending .message").filter({ hasText: "during the outage" }).waitFor();
  await ann.locator("#text").fill("half a sen");
  await it.server.restart();
  await message(bob, "during the outage").waitFor();
  await ann.locator("#pending li").waitFor({ state: "detached" });
  await ann.reload();
  await message(ann, "during the outage").waitFor();
  await until("the draft is there again", async () => (await ann.locator("#text").inputValue()) === "half a sen");
  assert.equal(await message(ann, "during the outage").count(), 1);
  await ann.context().close();
  await bob.context().close();
});

test("a page that is opened once the server is back connects at once, and so do the others", async () => {
  const away = await Server.start();
  const one = await visit(it.browser, away.url);
  await connect(one, "nora");
  await away.kill();
  // By now the next try is some seconds away.
  await one.locator("#link").filter({ hasText: /in [4-9] s/ }).waitFor();
  await away.restart();
  const two = await one.context().newPage();
  await two.addInitScript(() => {
    window.told = [];
    new MutationObserver(() => window.told.push(document.getElementById("link")?.textContent)).observe(document, { subtree: true, childList: true });
  });
  await two.goto(away.url);
  await two.locator("#chats a").first().waitFor();
  assert.deepEqual((await two.evaluate(() => window.told)).filter((words) => /Offline/.test(words)), []);
  for (const page of [one, two]) await page.locator("#link").waitFor({ state: "hidden" });
  await one.context().close();
  await away.end();
});

test("a server that comes back with older data is shown as it is", async () => {
  const old = await Server.start();
  const ann = await visit(it.browser, old.url);
  await connect(ann, "zoe");
  await say(ann, "in the copy");
  await message(ann, "in the copy").waitFor();
  await old.kill();
  old.keep();
  await old.restart();
  await ann.locator("#link").waitFor({ state: "hidden" });
  await say(ann, "after the copy");
  await message(ann, "after the copy").waitFor();
  await old.kill();
  old.putBack();
  await old.restart();
  await message(ann, "after the copy").waitFor({ state: "detached" });
  await message(ann, "in the copy").waitFor();
  await say(ann, "and on");
  await message(ann, "and on").waitFor();
  await ann.context().close();
  await old.end();
});

test("a post whose answer is lost is sent again, and is there once", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "lia");
  await ann.route("**/send", async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  const answered = ann.waitForResponse((response) => response.url().endsWith("/send"));
  await say(ann, "on a bad line");
  assert.equal((await answered).headers()["idempotency-replayed"], "true");
  await ann.locator("#pending li").waitFor({ state: "detached" });
  assert.equal(await message(ann, "on a bad line").count(), 1);
  await ann.context().close();
});

test("what is refused says why, and can be edited or sent again", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "fin");
  const told = ann.locator("#told");
  await ann.locator("#text").fill("x".repeat(3800));
  assert.equal(await told.textContent(), "");
  await ann.locator("#text").fill("🦀".repeat(3801));
  await told.getByText("3801 of 4000 characters.").waitFor();
  await say(ann, "x".repeat(4001));
  const failed = ann.locator("#pending .failed");
  await failed.getByText("Not sent: It has 4001 characters, and 4000 are allowed. Shorten it by 1.").waitFor();
  assert.equal(await told.textContent(), "");
  await ann.locator("#text").fill("x".repeat(4003));
  await told.getByText("4003 of 4000 characters: 3 too many.").waitFor();
  await ann.locator("#text").fill("");
  await ann.reload();
  await failed.getByRole("button", { name: "Edit" }).click();
  await until("the text is back", async () => (await ann.locator("#text").inputValue()).length === 4001);
  await say(ann, "shorter");
  await message(ann, "shorter").waitFor();
  await ann.context().close();
});

test("tabs share one stream, keep in step, and sign out together", async () => {
  const narrow = await Server.start(ONE_STREAM);
  const one = await visit(it.browser, narrow.url);
  await connect(one, "tom", "t");
  const two = await tab(one.context(), narrow.url);
  await two.locator("#chats a").first().waitFor();
  const other = await narrow.person("tim");
  await other.post("/send", { to: "@tom", text: "to both" });
  for (const page of [one, two]) await page.locator("#chats a").filter({ hasText: "to both" }).waitFor();
  const three = await tab(one.context(), narrow.url);
  await three.locator("#me").click();
  await three.getByRole("button", { name: "Sign out here" }).click();
  for (const page of [one, two, three]) await page.getByLabel("Your name").waitFor();
  await one.context().close();
  await narrow.end();
});

test("where there is no shared worker one tab reads for all, and another takes its turn", async () => {
  const narrow = await Server.start(ONE_STREAM);
  const one = await visit(it.browser, narrow.url);
  await one.context().addInitScript(() => delete window.SharedWorker);
  await one.reload();
  await connect(one, "lou");
  const two = await tab(one.context(), narrow.url);
  await two.locator("#chats a").first().waitFor();
  const other = await narrow.person("len");
  await other.post("/send", { to: "@lou", text: "the first" });
  for (const page of [one, two]) await page.locator("#chats a").filter({ hasText: "the first" }).waitFor();
  await one.close();
  await other.post("/send", { to: "@lou", text: "the second" });
  await two.locator("#chats a").filter({ hasText: "the second" }).waitFor();
  await two.context().close();
  await narrow.end();
});

testOf(["comments"], "the keyboard alone is enough", async () => {
  const ann = await visit(it.browser, it.server.url);
  await ann.keyboard.type("kay");
  await ann.keyboard.press("Enter");
  await until("one can write", () => ann.locator("#text").evaluate((node) => node === document.activeElement));
  await ann.keyboard.type("by keys");
  await ann.keyboard.press("Enter");
  await message(ann, "by keys").waitFor();
  await ann.locator("#scroll").focus();
  await ann.keyboard.press("ArrowUp");
  await ann.keyboard.press("Tab");
  await ann.keyboard.press("Enter");
  await ann.getByRole("textbox", { name: "Comment" }).waitFor();
  await ann.keyboard.type("and so on");
  await ann.keyboard.press("Enter");
  await ann.locator(".comments .text").filter({ hasText: "and so on" }).waitFor();
  await ann.keyboard.press("Escape");
  await ann.locator("#sheet").waitFor({ state: "hidden" });
  await until("the message has the focus", () => message(ann, "by keys").evaluate((node) => node.contains(document.activeElement)));
  await ann.context().close();
});

test("each tab keeps what was typed in it over a reload, also where another writes in the same place", async () => {
  const one = await visit(it.browser, it.server.url);
  await connect(one, "dora");
  await one.locator("#text").fill("typed in one");
  const two = await tab(one.context(), it.server.url);
  await two.locator("#text").fill("typed in two");
  await one.reload();
  await until("one has its own", async () => (await one.locator("#text").inputValue()) === "typed in one");
  await two.locator("#text").press("Enter");
  await message(one, "typed in two").waitFor();
  await one.reload();
  await until("one has its own still", async () => (await one.locator("#text").inputValue()) === "typed in one");
  await one.context().close();
});

test("what is typed before the chats are there is kept", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "early");
  await page.locator("#text").fill("an old draft");
  let release;
  const held = new Promise((go) => (release = go));
  await page.route("**/status", async (route) => {
    await held;
    await route.continue();
  });
  await page.reload();
  await until("the draft is there at once", async () => (await page.locator("#text").inputValue()) === "an old draft");
  await page.locator("#text").fill("typed at once");
  release();
  await page.locator("#chats a").first().waitFor();
  assert.equal(await page.locator("#text").inputValue(), "typed at once");
  await page.locator("#text").press("Enter");
  await message(page, "typed at once").waitFor();
  await page.context().close();
});

test("on a phone the chats and a chat are a screen each", async () => {
  const ann = await visit(it.browser, it.server.url, { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  await connect(ann, "pia");
  await ann.locator("#chats a").first().tap();
  await ann.locator("#text").waitFor();
  assert.equal(await ann.locator("#side").isVisible(), false);
  await ann.locator("#text").fill("from a phone");
  await ann.locator(".send").tap();
  await message(ann, "from a phone").waitFor();
  const other = await it.server.person("pit");
  await other.post("/send", { to: "@pia", text: "elsewhere" });
  await ann.getByRole("link", { name: "All chats, 1 unread" }).getByText("1").waitFor();
  const width = await ann.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `${width} pixels wide`);
  await ann.goBack();
  await ann.locator("#side").waitFor();
  await ann.context().close();
});

test("no text becomes markup, whoever should try", async () => {
  const page = await visit(it.browser, it.server.url);
  const before = complaints.length;
  const isRefused = await page.evaluate(() => {
    try {
      document.body.innerHTML = "<b>bold</b>";
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(isRefused);
  complaints.splice(before);
  await page.context().close();
});

test("what the server has not, the page does not show", async () => {
  const names = FEATURES.filter((name) => name !== "web");
  const bare = await Server.start(names.map((name) => `[features.${name}]\nenabled = false\n`).join(""));
  const page = await visit(it.browser, bare.url);
  await connect(page, "ada");
  await say(page, "bare");
  await message(page, "bare").waitFor();
  await message(page, "bare").hover();
  for (const id of ["attach", "when", "later"]) assert.equal(await page.locator(`#${id}`).isVisible(), false, id);
  assert.equal(await message(page, "bare").getByRole("button").count(), 0);
  await page.locator("#new").click();
  assert.equal(await page.getByText("New room").count(), 0);
  await page.context().close();
  await bare.end();
});

test("each view has one first heading for those who listen", async () => {
  const page = await visit(it.browser, it.server.url);
  const headings = () => page.getByRole("heading", { level: 1 }).count();
  assert.equal(await headings(), 1, "the door");
  await connect(page, "hedda");
  assert.equal(await headings(), 1, "a wide screen");
  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(`${it.server.url}/#`);
  assert.equal(await headings(), 1, "the chats on a phone");
  await page.goto(`${it.server.url}/#common`);
  await page.locator("#text").waitFor();
  assert.equal(await headings(), 1, "a chat on a phone");
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in the ${colorScheme} page, wide and narrow`, async () => {
    const page = await visit(it.browser, it.server.url, { colorScheme });
    await checkAccess(page, "the door");
    await connect(page, `axe-${colorScheme}`);
    await say(page, `@axe-${colorScheme} read https://example.org/${colorScheme} now`);
    await message(page, `org/${colorScheme}`).waitFor();
    await checkAccess(page, "a chat");
    await message(page, `org/${colorScheme}`).hover();
    if (FEATURES.includes("comments")) {
      await message(page, `org/${colorScheme}`).getByRole("button", { name: "Comment" }).click();
      await checkAccess(page, "comments");
      await page.keyboard.press("Escape");
    }
    for (const id of ["new", "me", ...(FEATURES.includes("schedule") ? ["later"] : [])]) {
      await page.locator(`#${id}`).click();
      await checkAccess(page, id);
      await page.keyboard.press("Escape");
    }
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(`${it.server.url}/#common`);
    await page.locator("#text").waitFor();
    await checkAccess(page, "a chat on a phone");
    await page.goto(`${it.server.url}/#`);
    await page.locator("#side").waitFor();
    await checkAccess(page, "the chats on a phone");
    await page.context().close();
  });
}
