/** Who is removed from a room is told so, wherever they are, and what they wrote for it is theirs still. */
import assert from "node:assert/strict";
import { connect, message, say, stage, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

/** A room of somebody's with another one in it. */
async function roomOf(server, owner, title, token) {
  const { room } = await owner.post("/rooms", { title });
  const path = `/rooms/${room.slice(5)}`;
  const { user } = await server.call(token, "GET", "/status");
  await owner.post(`${path}/invites`, { user: user.name });
  await server.call(token, "POST", `${path}/join`, {});
  return { room, kick: () => owner.remove(`${path}/members/${user.name}`) };
}

/** Somebody who has no browser, and can remove. */
async function owner(server, name) {
  const { token } = await server.call(null, "POST", "/connect", { name });
  return Object.fromEntries([["post", "POST"], ["remove", "DELETE"]].map(([how, method]) => [how, (path, body) => server.call(token, method, path, body)]));
}

testOf(["rooms"], "who is removed from a room that is open, or from another one, is told which it was", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "ann");
  const bob = await owner(it.server, "bob");
  const [attic, shed] = [await roomOf(it.server, bob, "Attic", await tokenOf(page)), await roomOf(it.server, bob, "Shed", await tokenOf(page))];
  await page.locator("#chats a").filter({ hasText: "Attic" }).click();
  await page.locator("#title").filter({ hasText: "Attic" }).waitFor();
  await attic.kick();
  const toast = page.locator("#toast");
  await toast.getByText("You were removed from Attic.").waitFor();
  await page.locator("#title").filter({ hasText: "Everyone" }).waitFor();
  await shed.kick();
  await toast.getByText("You were removed from Shed.").waitFor();
  await page.locator("#chats a").filter({ hasText: "Shed" }).waitFor({ state: "detached" });
  assert.equal(await page.getByText(/There is nobody of that name/).count(), 0);
  await page.context().close();
});

testOf(["rooms"], "what was written for a room that one was removed from meanwhile is a draft in the notebook", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "amy", "secret");
  const bob = await owner(it.server, "ben");
  const { room, kick } = await roomOf(it.server, bob, "Attic", await tokenOf(page));
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await say(page, "on the way");
  await message(page, "on the way").waitFor();
  // What is sent comes to nothing, so it waits.
  await page.route("**/send", (route) => route.abort());
  await say(page, "a waiting post");
  await page.locator("#text").fill("and a draft");
  await page.locator("#pending").getByText("a waiting post").waitFor();
  await kick();
  const toast = page.locator("#toast");
  await toast.getByText(/You were removed from Attic\. What you wrote there is a draft in your notebook now\./).waitFor();
  assert.equal(await page.locator("#chats a").filter({ hasText: "Attic" }).count(), 0);
  await toast.getByRole("link", { name: "your notebook" }).click();
  await until("both are there", async () => (await page.locator("#text").inputValue()) === "a waiting post\nand a draft");
  await page.goto(`${it.server.url}/#common`);
  await page.locator("#chats a").filter({ hasText: "Notebook" }).getByText("Draft", { exact: true }).waitFor();
  // Also when the page asks for its chats once more.
  const asked = page.waitForResponse((response) => new URL(response.url()).pathname === "/status");
  await page.locator("#me").click();
  await asked;
  await page.keyboard.press("Escape");
  await page.locator("#chats a").filter({ hasText: "Notebook" }).getByText("Draft", { exact: true }).waitFor();
  await page.context().close();
});

testOf(["rooms"], "also where the page was not there when it happened", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "cat", "secret");
  const dan = await owner(it.server, "dan");
  const { room, kick } = await roomOf(it.server, dan, "Cellar", await tokenOf(page));
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#title").filter({ hasText: "Cellar" }).waitFor();
  await page.locator("#text").fill("unfinished");
  await page.goto("about:blank");
  await kick();
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#chats a").filter({ hasText: "Notebook" }).click();
  await until("it is there", async () => (await page.locator("#text").inputValue()) === "unfinished");
  await page.context().close();
});

testOf(["rooms"], "who is removed while they write writes on where nobody else reads it", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "eva");
  const bob = await owner(it.server, "fred");
  const { room, kick } = await roomOf(it.server, bob, "Loft", await tokenOf(page));
  await page.goto(`${it.server.url}/#${encodeURIComponent(room)}`);
  await page.locator("#title").filter({ hasText: "Loft" }).waitFor();
  await page.locator("#text").pressSequentially("between us, ");
  await kick();
  await page.locator("#title").filter({ hasText: "Notebook" }).waitFor();
  await page.keyboard.type("the rest");
  await page.keyboard.press("Enter");
  await message(page, "between us, the rest").waitFor();
  const { messages } = await it.server.call(await tokenOf(page), "GET", "/messages?chat=common");
  assert.equal(messages.filter(({ text }) => text.includes("the rest")).length, 0);
  // Nothing was begun here: what is typed next goes nowhere.
  const loft = await roomOf(it.server, bob, "Loft 2", await tokenOf(page));
  await page.goto(`${it.server.url}/#${encodeURIComponent(loft.room)}`);
  await page.locator("#title").filter({ hasText: "Loft 2" }).waitFor();
  await page.locator("#text").focus();
  await loft.kick();
  await page.locator("#title").filter({ hasText: "Everyone" }).waitFor();
  await page.keyboard.type("not for all");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#text").inputValue(), "");
  await page.context().close();
});
