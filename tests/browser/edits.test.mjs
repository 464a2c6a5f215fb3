/** Changing and removing one's own messages. */
import assert from "node:assert/strict";
import { Server, checkAccess, connect, message, say, stage, testOf, until, visit } from "./stage.mjs";

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
