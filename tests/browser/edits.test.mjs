/** Changing and removing one's own messages. */
import assert from "node:assert/strict";
import { Server, checkAccess, connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage("");

testOf(["edits"], "a message is changed by Up or its button, and everybody sees what it says now", async () => {
  const [ann, bob] = await Promise.all([visit(it.browser, it.server.url), visit(it.browser, it.server.url)]);
  await connect(ann, "ann");
  await connect(bob, "bob");
  for (const page of [ann, bob]) await page.goto(`${it.server.url}/#common`);
  await say(ann, "helo");
  await message(bob, "helo").waitFor();
  const text = ann.locator("#text");
  await text.press("ArrowUp");
  assert.equal(await text.inputValue(), "helo");
  await checkAccess(ann, "changing a message");
  await text.press("Escape");
  assert.equal(await text.inputValue(), "", "left as it is");
  await text.press("ArrowUp");
  await text.fill("hello");
  await text.press("Enter");
  for (const page of [ann, bob]) {
    await message(page, "hello").filter({ hasText: "(edited)" }).waitFor();
    assert.equal(await message(page, "helo").count(), 0);
  }
  assert.equal(await text.inputValue(), "");
  await bob.locator("#chats .last", { hasText: "hello" }).waitFor();
  assert.equal(await message(bob, "hello").getByRole("button", { name: "Edit" }).count(), 0, "another's");

  // What was begun stays a draft.
  await text.fill("half a thought");
  await message(ann, "hello").hover();
  await message(ann, "hello").getByRole("button", { name: "Edit" }).click();
  await text.fill("hello, all");
  await text.press("Enter");
  await message(bob, "hello, all").waitFor();
  await until("the draft to be back", async () => (await text.inputValue()) === "half a thought");
  await ann.reload();
  await message(ann, "hello, all").filter({ hasText: "(edited)" }).waitFor();
  await Promise.all([ann.context().close(), bob.context().close()]);
});

testOf(["edits"], "a message is removed when that is confirmed, and one that can't be is said so", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "cyd");
  const bob = await it.server.person("bob2");
  await ann.goto(`${it.server.url}/#common`);
  await say(ann, "a slip");
  const line = message(ann, "a slip");
  await line.hover();
  await line.getByRole("button", { name: "Remove" }).click();
  await ann.locator("#sheet blockquote", { hasText: "a slip" }).waitFor();
  await checkAccess(ann, "removing a message");
  assert.equal(await line.count(), 1, "nothing is removed unasked");
  await ann.locator("#sheet").getByRole("button", { name: "Remove", exact: true }).click();
  await until("the message to be gone", async () => !(await line.count()));
  const { messages } = await bob.get("/messages?chat=common");
  assert.ok(messages.every(({ text }) => text !== "a slip"));

  // One that goes while it is being changed is changed no more.
  await say(ann, "another slip");
  await message(ann, "another slip").waitFor();
  await ann.locator("#text").press("ArrowUp");
  const twin = await ann.context().newPage();
  await twin.goto(`${it.server.url}/#common`);
  const same = message(twin, "another slip");
  await same.hover();
  await same.getByRole("button", { name: "Remove" }).click();
  await twin.locator("#sheet").getByRole("button", { name: "Remove", exact: true }).click();
  await ann.locator("#toast", { hasText: "gone meanwhile" }).waitFor();
  assert.equal(await ann.locator("#text").inputValue(), "");
  await ann.context().close();
});

testOf(["edits"], "what can be changed no more has no buttons for it", async () => {
  const strict = await Server.start('[features.edits]\nwindow = "4s"\n');
  const ann = await visit(it.browser, strict.url);
  await connect(ann, "ann");
  await say(ann, "soon fixed");
  const line = message(ann, "soon fixed");
  await line.hover();
  await line.getByRole("button", { name: "Edit" }).waitFor();
  for (const name of ["Edit", "Remove"]) await line.getByRole("button", { name }).waitFor({ state: "detached" });
  await ann.locator("#text").press("ArrowUp");
  assert.equal(await ann.locator("#text").inputValue(), "");
  await ann.context().close();
  await strict.end();
});

testOf(["edits"], "where it is kept, what a message said before is a click away", async () => {
  const open = await Server.start("[features.edits]\nkeep_history = true\n");
  const ann = await visit(it.browser, open.url);
  await connect(ann, "ann");
  const bob = await open.person("bob");
  const { id } = await bob.post("/send", { to: "common", text: "at five" });
  await bob.post("/edit", { message: id, text: "at six" });
  await bob.post("/edit", { message: id, text: "at seven" });
  const line = message(ann, "at seven");
  await line.getByRole("button", { name: "(edited)" }).click();
  const texts = ann.locator("#sheet .text");
  await texts.filter({ hasText: "at five" }).waitFor();
  assert.deepEqual(await texts.allTextContents(), ["at five", "at six", "at seven"]);
  await checkAccess(ann, "earlier texts");
  await ann.context().close();
  await open.end();
});

testOf(["edits"], "a change that was begun outlives a reload and another chat, and is a draft where its message goes", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "dot");
  await ann.goto(`${it.server.url}/#common`);
  const text = ann.locator("#text");
  const holds = (words) => until(`the field holds ${words}`, async () => (await text.inputValue()) === words);
  await say(ann, "see you at five");
  await message(ann, "see you at five").waitFor();
  await text.fill("half a thought");
  const begin = async (from) => {
    await message(ann, from).hover();
    await message(ann, from).getByRole("button", { name: "Edit" }).click();
    await holds(from);
  };
  await begin("see you at five");
  await text.fill("see you at six");
  await ann.reload();
  await holds("see you at six");
  await ann.getByText("You are editing a message.").waitFor();
  await ann.goto(`${it.server.url}/#%40dot`);
  await holds("");
  await ann.goto(`${it.server.url}/#common`);
  await holds("see you at six");
  await text.press("Enter");
  const line = message(ann, "see you at six");
  await line.filter({ hasText: "(edited)" }).waitFor();
  await holds("half a thought");

  await begin("see you at six");
  await text.fill("see you at seven");
  const id = Number(await line.getAttribute("data-id"));
  await it.server.call(await tokenOf(ann), "POST", "/remove", { message: id });
  await ann.locator("#toast", { hasText: "This message is gone meanwhile. What you wrote is a draft now." }).waitFor();
  await holds("see you at seven\nhalf a thought");
  await ann.reload();
  await holds("see you at seven\nhalf a thought");
  assert.equal(await ann.getByText("You are editing a message.").count(), 0);
  await ann.context().close();
});

testOf(["comments", "edits"], "a comment that was begun is a draft in the chat where its message goes, also if it was closed", async () => {
  const bob = await it.server.person("dirk");
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "dora");
  await ann.goto(`${it.server.url}/#common`);
  for (const [number, isClosed] of [false, true].entries()) {
    const { id } = await bob.post("/send", { to: "common", text: `to be commented ${number}` });
    await message(ann, `to be commented ${number}`).hover();
    await message(ann, `to be commented ${number}`).getByRole("button", { name: "Comment" }).click();
    await ann.getByLabel("Comment", { exact: true }).fill(`I think ${number}`);
    if (isClosed) await ann.locator("#close").click();
    await bob.post("/remove", { message: id });
    await ann.locator("#toast", { hasText: "What you wrote is a draft in its chat now." }).waitFor();
    if (!isClosed) await ann.locator("#sheet").getByText("This message is gone, and its comments with it.").waitFor();
    const words = ["I think 0", "I think 1"].slice(0, number + 1).join("\n");
    await until("the text is in the field", async () => (await ann.locator("#text").inputValue()) === words);
    await ann.getByRole("button", { name: "Dismiss" }).click();
    if (!isClosed) await ann.locator("#close").click();
  }
  await ann.context().close();
});
