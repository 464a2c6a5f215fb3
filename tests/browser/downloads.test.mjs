/** Files that come from the server: how far they are, stopping them, and what went wrong. */
import assert from "node:assert/strict";
import { checkAccess, connect, message, say, stage, testOf, until, visit } from "./stage.mjs";

const it = stage();

/** A page in which each download stands still at its half, until `window.loading` is told how it goes on. */
async function visitSlowly() {
  const page = await visit(it.browser, it.server.url);
  await page.addInitScript(() => {
    const { fetch } = window;
    window.fetch = async (path, options) => {
      const response = await fetch(path, options);
      if (!String(path).startsWith("/files/")) return response;
      const bytes = new Uint8Array(await response.arrayBuffer());
      const half = Math.ceil(bytes.length / 2);
      const body = new ReadableStream({
        start(stream) {
          stream.enqueue(bytes.slice(0, half));
          options.signal.addEventListener("abort", () => stream.error(options.signal.reason));
          window.loading = {
            end: () => (stream.enqueue(bytes.slice(half)), stream.close()),
            fail: () => stream.error(new TypeError("network error")),
            isStopped: () => options.signal.aborted,
          };
        },
      });
      return new Response(body, { headers: response.headers });
    };
  });
  await page.reload();
  return page;
}

async function sendFile(page, name, mimeType, buffer) {
  await page.locator("#pick").setInputFiles({ name, mimeType, buffer });
  await page.locator("#files progress").waitFor({ state: "detached" });
  await say(page, `here is ${name}`);
  await message(page, `here is ${name}`).waitFor();
  return message(page, `here is ${name}`);
}

testOf(["files"], "a download shows how far it is, is stopped, fails and is tried again", async () => {
  const page = await visitSlowly();
  await connect(page, "dora");
  const sent = await sendFile(page, "report.txt", "text/plain", Buffer.alloc(2000, "x"));
  const file = sent.getByRole("button", { name: /^report\.txt/ });
  const bar = sent.getByRole("progressbar", { name: "Downloading report.txt" });
  await file.press("Enter");
  await sent.getByText("50 %").waitFor();
  assert.equal(await bar.evaluate((node) => node.position), 0.5);
  await checkAccess(page, "a file that comes");
  await sent.getByRole("button", { name: "Cancel" }).press("Enter");
  await bar.waitFor({ state: "detached" });
  assert.ok(await page.evaluate(() => window.loading.isStopped()));
  assert.equal(await sent.locator(".error").count(), 0, "it is no failure");
  await file.press("Enter");
  await sent.getByText("50 %").waitFor();
  await page.evaluate(() => window.loading.fail());
  await sent.getByText("The server can't be reached.").waitFor();
  await checkAccess(page, "a file that did not come");
  const saved = page.waitForEvent("download");
  await sent.getByRole("button", { name: "Try again" }).press("Enter");
  await sent.getByText("50 %").waitFor();
  assert.equal(await sent.locator(".error").count(), 0);
  await page.evaluate(() => window.loading.end());
  assert.equal((await saved).suggestedFilename(), "report.txt");
  await bar.waitFor({ state: "detached" });
  await page.context().close();
});

testOf(["files"], "a picture that did not come says so, is tried again, and is saved without coming twice", async () => {
  const page = await visitSlowly();
  let fetched = 0;
  page.on("request", (request) => (fetched += request.method() === "GET" && request.url().includes("/files/")));
  await connect(page, "dana");
  const drawn = await page.evaluate(() => Object.assign(document.createElement("canvas"), { width: 40, height: 40 }).toDataURL().split(",")[1]);
  const sent = await sendFile(page, "dot.png", "image/png", Buffer.from(drawn, "base64"));
  const fails = () => page.evaluate(() => window.loading.fail());
  await page.waitForFunction(() => window.loading);
  await fails();
  await sent.getByText("The server can't be reached.").waitFor();
  assert.equal(fetched, 1, "it is not tried again by itself");
  await sent.getByRole("button", { name: "Try again" }).click();
  await until("it comes again", () => fetched === 2);
  await sent.locator(".error").waitFor({ state: "detached" });
  // What is looked at meanwhile shows how far it is.
  await sent.locator("button.picture").click();
  await page.locator("#sheet").getByText("50 %").waitFor();
  await fails();
  await page.locator("#sheet").getByRole("button", { name: "Try again" }).click();
  await page.locator("#sheet").getByText("50 %").waitFor();
  await page.evaluate(() => window.loading.end());
  for (const image of [page.locator("#sheet img"), sent.locator("img")]) {
    await until("it is shown", () => image.evaluate((node) => node.naturalWidth === 40).catch(() => false));
  }
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save" }).click();
  assert.equal((await saved).suggestedFilename(), "dot.png");
  assert.equal(fetched, 3, "it is saved as it is here");
  await page.context().close();
});
