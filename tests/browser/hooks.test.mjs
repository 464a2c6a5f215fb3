/** Hooks: programs post by addresses that are made in the page. */
import assert from "node:assert/strict";
import { Server, checkAccess, connect, message, stage, tab, testOf, tokenOf, until, visit } from "./stage.mjs";

const it = stage();

async function showHooks(page) {
  await page.locator("#me").press("Enter");
  await page.getByRole("button", { name: "Hooks" }).press("Enter");
  await page.getByRole("heading", { name: "Hooks" }).waitFor();
}

const rowOf = (page, name) => page.getByRole("button", { name: `Remove the hook ${name}` });
const hasFocus = (locator) => locator.evaluate((node) => node === document.activeElement);

testOf(["webhooks"], "a hook is made, its address is copied once, and it is removed, alike in each tab and on each device", async () => {
  const page = await visit(it.browser, it.server.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await connect(page, "hal", "h");
  const two = await tab(page.context(), it.server.url);
  const phone = await visit(it.browser, it.server.url, { viewport: { width: 360, height: 640 }, colorScheme: "dark" });
  await connect(phone, "hal", "h");
  const all = [two, phone, page];
  for (const one of all) await showHooks(one);
  await page.bringToFront();
  assert.ok(await hasFocus(page.locator("#sheet-title")), "the focus goes along");
  await page.getByLabel("Posts as").fill("alerts");
  await page.getByLabel("Posts as").press("Enter");
  const field = page.getByLabel("The address of alerts");
  await until("the address has the focus", () => hasFocus(field));
  const address = await field.inputValue();
  assert.ok(address.startsWith(`${it.server.url}/hooks/`) && address.length > 50, address);
  await page.getByRole("button", { name: "Copy" }).click();
  await page.locator("#toast").getByText("It is copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), address);
  const send = () => fetch(address, { method: "POST", body: JSON.stringify({ text: "the disk is full" }) });
  assert.equal(await (await send()).text(), "ok");
  for (const one of all) await rowOf(one, "alerts").waitFor();
  for (const one of [two, phone]) assert.equal(await one.getByLabel(/^The address/).count(), 0);
  await checkAccess(page, "a new hook");
  await checkAccess(phone, "hooks on a dark phone");
  assert.ok((await phone.locator("#sheet").evaluate((node) => node.scrollWidth)) <= 360, "it fits on a phone");
  // Whoever closes it has seen it.
  await page.keyboard.press("Escape");
  await message(page, "the disk is full").waitFor();
  assert.match(await message(page, "the disk is full").locator(".by").textContent(), /^alerts /);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.body.outerHTML]));
  assert.ok(!kept.includes(address.split("/").at(-1)), "it is kept nowhere");
  await showHooks(page);
  assert.equal(await page.getByLabel(/^The address/).count(), 0);
  await rowOf(phone, "alerts").press("Enter");
  await phone.getByText("What posts by it as alerts is refused from then on.").waitFor();
  assert.ok((await send()).ok, "it is asked for first");
  await checkAccess(phone, "a hook to be removed");
  await phone.getByRole("button", { name: "Remove", exact: true }).press("Enter");
  await phone.getByRole("heading", { name: "Hooks" }).waitFor();
  for (const one of all) await rowOf(one, "alerts").waitFor({ state: "detached" });
  assert.equal((await send()).status, 404);
  await page.context().close();
  await phone.context().close();
});

testOf(["webhooks"], "what keeps a hook from being made is said in plain words", async () => {
  await it.server.person("hub");
  const page = await visit(it.browser, it.server.url);
  await connect(page, "hans");
  await showHooks(page);
  for (const [name, words] of [["hub", "The name is somebody's already."], ["no name", "A name has 1 to 32 letters"]]) {
    await page.getByLabel("Posts as").fill(name);
    await page.getByRole("button", { name: "Make a hook" }).click();
    await page.locator("#sheet .error").filter({ hasText: words }).waitFor();
  }
  assert.equal(await page.getByLabel("Posts as").inputValue(), "no name", "what was typed stays");
  await page.context().close();
});

testOf(["webhooks", "rooms"], "a hook posts to a room as long as one is in it, and the list says so", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "hedy");
  const token = await tokenOf(page);
  const { room } = await it.server.call(token, "POST", "/rooms", { title: "Ops" });
  await page.locator("#chats a").filter({ hasText: "Ops" }).waitFor();
  await showHooks(page);
  await page.getByLabel("Posts as").fill("ci");
  await page.getByLabel("Posts to").selectOption("# Ops");
  await page.getByRole("button", { name: "Make a hook" }).click();
  await page.locator("#sheet-body li").getByText(/^To # Ops, since /).waitFor();
  await page.getByLabel("Posts as").fill("cron");
  await page.getByLabel("Posts to").selectOption("Yourself");
  await page.getByRole("button", { name: "Make a hook" }).click();
  await page.locator("#sheet-body li").getByText(/^To Yourself, since /).waitFor();
  const dead = page.locator("#sheet-body li").getByText("It does not work: you are not there.");
  assert.equal(await dead.count(), 0);
  await it.server.call(token, "POST", `/rooms/${room.slice(5)}/leave`);
  await dead.waitFor();
  assert.equal(await dead.count(), 1);
  // The list is there again after a reload.
  await page.reload();
  await dead.waitFor();
  await page.context().close();
});

testOf(["webhooks"], "what a program posts is marked as its, and nobody is led to write to it", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "hope");
  const post = async (to) => {
    const { url } = await it.server.call(await tokenOf(page), "POST", "/hooks", { name: "robo", to });
    const answer = await fetch(it.server.url + url, { method: "POST", body: JSON.stringify({ text: `done for ${to}` }) });
    assert.ok(answer.ok);
  };
  await post("common");
  const told = message(page, "done for common");
  await told.locator(".by").filter({ hasText: /^robo program / }).waitFor();
  await checkAccess(page, "a program's message");
  await told.hover();
  await told.getByRole("button", { name: "About robo" }).click();
  await page.locator("#sheet").getByText("A program, which posts by a hook and reads nothing.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Write in private" }).count(), 0);
  await page.keyboard.press("Escape");
  // Others know it by what it has written.
  const other = await visit(it.browser, it.server.url);
  await connect(other, "hila");
  await message(other, "done for common").waitFor();
  for (const one of [page, other]) {
    await one.locator("#new").click();
    await one.getByRole("button", { name: /^h/i }).first().waitFor();
    await one.getByLabel("Find somebody by name").fill("robo");
    await one.getByRole("button", { name: /^h/i }).first().waitFor({ state: "detached" });
    assert.equal(await one.locator("#sheet .people li").count(), 0);
    await one.keyboard.press("Escape");
  }
  // What it writes to oneself can be read, and not answered.
  await post("@me");
  await page.locator('#chats a[href="#%40robo"]').click();
  await message(page, "done for @me").waitFor();
  await page.locator("#about").getByText("a program, which reads nothing").waitFor();
  assert.equal(await page.locator("#text").isVisible(), false);
  await page.locator('#chats a[href="#common"]').click();
  await page.locator("#text").waitFor();
  await page.context().close();
  await other.context().close();
});

testOf(["webhooks"], "where the server has no hooks, nothing speaks of them", async (test) => {
  const server = await Server.start("[features.webhooks]\nenabled = false\n");
  test.after(() => server.end());
  const page = await visit(it.browser, server.url);
  await connect(page, "hugo");
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Sign out here" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Hooks" }).count(), 0);
  await page.context().close();
});
