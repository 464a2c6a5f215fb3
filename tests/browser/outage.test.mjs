/** The server is away for a while: files go on by themselves as texts do, and what failed is seen from anywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, connect, message, say, stage, testOf, until, visit } from "./stage.mjs";

const it = stage();
const file = (name, bytes) => ({ name, mimeType: "text/plain", buffer: Buffer.from(bytes) });

testOf(["files"], "files that were attached while the server was away are sent by themselves when it is back", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  await server.kill();
  await page.locator("#link").getByText(/Offline/).waitFor();
  await page.locator("#pick").setInputFiles(file("plan.txt", "plan"));
  await page.locator("#files").getByText("waits for the connection").waitFor();
  await say(page, "with a file");
  const waiting = page.locator("#pending .message");
  await waiting.getByText("Waits for the connection").waitFor();
  await page.locator("#pick").setInputFiles(file("draft.txt", "draft"));
  await page.locator("#files").getByText("waits for the connection").waitFor();
  await server.restart();
  await message(page, "with a file").getByRole("button", { name: /^plan\.txt/ }).waitFor();
  await page.locator("#files").getByText("5 B").waitFor();
  assert.equal(await page.locator(".failed").count(), 0);
  await page.context().close();
  await server.end();
});

testOf(["files"], "a file that was on its way when the server broke off goes on when it is back", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  let reached;
  let killed;
  const [isUnderWay, isKilled] = [new Promise((go) => (reached = go)), new Promise((go) => (killed = go))];
  await page.route("**/files?*", async (route) => {
    reached();
    await isKilled;
    await route.abort();
  }, { times: 1 });
  await page.locator("#pick").setInputFiles(file("long.txt", "long"));
  await say(page, "broken off");
  await isUnderWay;
  await server.kill();
  killed();
  await page.locator("#pending").getByText("Waits for the connection").waitFor();
  await server.restart();
  await message(page, "broken off").getByRole("button", { name: /^long\.txt/ }).waitFor();
  await page.context().close();
  await server.end();
});

test("a text that waits for the connection is taken back or changed meanwhile", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  await server.kill();
  await page.locator("#link").getByText(/Offline/).waitFor();
  const waiting = (text) => page.locator("#pending .message").filter({ hasText: text });
  for (const text of ["better not", "a tpyo"]) await say(page, text);
  await waiting("better not").getByText("Waits for the connection").waitFor();
  await waiting("better not").getByRole("button", { name: "Cancel" }).click();
  await waiting("better not").waitFor({ state: "detached" });
  await waiting("a tpyo").getByRole("button", { name: "Edit" }).click();
  await until("it is back", async () => (await page.locator("#text").inputValue()) === "a tpyo");
  await say(page, "a typo");
  await server.restart();
  await message(page, "a typo").waitFor();
  assert.deepEqual(await page.locator("#messages .text").allTextContents(), ["a typo"]);
  await page.context().close();
  await server.end();
});

test("a message that was not sent is told of by its chat in the list, and by the title", async () => {
  const page = await visit(it.browser, it.server.url);
  await connect(page, "flo");
  await page.goto(`${it.server.url}/#%40flo`);
  await page.route("**/send", (route) => route.fulfill({ status: 422, json: { code: "invalid", detail: "no" } }), { times: 1 });
  await say(page, "a refused one");
  await page.locator("#pending .failed").waitFor();
  await page.goto(`${it.server.url}/#common`);
  const row = page.locator("#chats a").filter({ hasText: "Notebook" });
  await row.getByText("Not sent: a refused one").waitFor();
  assert.match(await page.title(), /^Not sent!/);
  await row.click();
  await page.getByRole("button", { name: "Discard" }).click();
  await row.getByText("Not sent").waitFor({ state: "detached" });
  assert.doesNotMatch(await page.title(), /Not sent/);
  await page.context().close();
});

testOf(["reactions"], "that the server can't be reached is told for as long as that is so", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  await say(page, "lunch?");
  await message(page, "lunch?").hover();
  await message(page, "lunch?").getByRole("button", { name: "React", exact: true }).click();
  await page.locator("#picker").getByRole("button", { name: "👍" }).click();
  const thumb = message(page, "lunch?").locator(".reaction");
  await thumb.waitFor();
  await server.kill();
  await page.locator("#link").getByText(/Offline/).waitFor();
  await thumb.click();
  await page.locator("#notice").getByText("The server can't be reached.").waitFor();
  await server.restart();
  await page.locator("#link").waitFor({ state: "hidden" });
  await page.locator("#toast").waitFor({ state: "hidden", timeout: 2000 });
  await page.context().close();
  await server.end();
});

test("what the browser can't keep is told, and stays in its field", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  await page.evaluate(() => {
    for (let size = 1 << 22; size; size >>= 1) {
      try {
        for (let part = 0; ; part++) localStorage.setItem(`full.${size}.${part}`, "x".repeat(size));
      } catch {
        // It is full for so much.
      }
    }
  });
  await page.locator("#text").fill("not lost");
  await page.keyboard.press("Enter");
  await page.locator("#notice").getByText(/This browser keeps nothing more/).waitFor();
  assert.equal(await page.locator("#text").inputValue(), "not lost");
  await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("full.")).forEach((key) => localStorage.removeItem(key)));
  await page.locator("#text").press("Enter");
  await message(page, "not lost").waitFor();
  await page.context().close();

  const context = await it.browser.newContext();
  await context.addInitScript(() => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("denied", "SecurityError"); } }));
  const blocked = await context.newPage();
  await blocked.goto(server.url);
  await blocked.locator("#why").getByText(/This browser keeps nothing more/).waitFor();
  await context.close();
  await server.end();
});

testOf(["schedule"], "what a server does no more when it is back is offered no more", async () => {
  const server = await Server.start();
  const page = await visit(it.browser, server.url);
  await connect(page, "ann");
  await page.locator("#later").waitFor();
  await server.kill();
  server.configure("[features.schedule]\nenabled = false\n");
  await server.restart();
  await page.locator("#later").waitFor({ state: "hidden" });
  await page.context().close();
  await server.end();
});
