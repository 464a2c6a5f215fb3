/** Subscriptions: programs are told what is said, and the page says how that goes. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { checkAccess, connect, say, stage, tab, testOf, until, visit } from "./stage.mjs";

const it = stage('[features.subscriptions]\npause = "100ms"\nlongest_pause = "100ms"\ngive_up = "1s"\nallow = ["127.0.0.1"]\n');

async function show(page) {
  await page.locator("#me").click();
  await page.getByRole("button", { name: "Subscriptions" }).click();
  await page.getByRole("heading", { name: "Subscriptions" }).waitFor();
}

testOf(["subscriptions"], "one is made, its secret is shown once, and it is seen failing, off, on again and gone, alike in each tab", async (test) => {
  const heard = [];
  let status = 200;
  const program = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      heard.push([status, JSON.parse(body).data.text]);
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  test.after(() => program.close());
  await once(program, "listening");
  const url = `http://127.0.0.1:${program.address().port}/said`;
  const page = await visit(it.browser, it.server.url);
  await connect(page, "sid");
  const two = await tab(page.context(), it.server.url);
  const all = [two, page];
  for (const one of all) await show(one);
  await page.bringToFront();
  await page.getByLabel("Is posted to").fill("http://user@127.0.0.1/");
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.locator("#sheet .error").getByText("This address can't be called").waitFor();
  await page.getByLabel("Is posted to").fill(url);
  await page.getByLabel("What is said in").selectOption("Everyone");
  await page.getByRole("button", { name: "Subscribe" }).click();
  const secret = page.getByLabel(`The secret of ${url}`);
  await until("the secret has the focus", () => secret.evaluate((node) => node === document.activeElement).catch(() => false));
  assert.match(await secret.inputValue(), /^whsec_/);
  const rows = (one) => one.locator("#sheet-body li");
  for (const one of all) await rows(one).getByText(/^What is said in Everyone, since /).waitFor();
  assert.equal(await two.getByLabel(/^The secret/).count(), 0);
  await checkAccess(page, "a new subscription");
  await page.keyboard.press("Escape");
  await say(page, "first");
  await until("it is posted", () => heard.some(([, text]) => text === "first"));
  status = 502;
  await say(page, "second");
  await rows(two).getByText(/^It is off, as it failed since .*: it answered 502\.$/).waitFor();
  await two.locator("#toast").getByText(/is off: it failed for too long/).waitFor();
  await checkAccess(two, "a subscription that is off");
  const cut = await rows(two).locator(".name, .name *").evaluateAll((nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth && node.clientWidth).length);
  assert.equal(cut, 0, "all of it can be read");
  status = 200;
  await two.getByRole("button", { name: `Switch on the subscription of ${url}` }).click();
  await until("what was not taken comes", () => heard.some(([how, text]) => how === 200 && text === "second"));
  await rows(two).getByText(/failed|fails/).waitFor({ state: "detached" });
  await show(page);
  assert.equal(await page.getByLabel(/^The secret/).count(), 0, "it is kept nowhere");
  await page.getByRole("button", { name: `Remove the subscription of ${url}` }).click();
  await page.getByText(`Nothing more is posted to ${url} by it.`).waitFor();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  for (const one of all) await until("it is gone", async () => (await rows(one).count()) === 0);
  await page.context().close();
});
