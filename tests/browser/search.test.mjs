/** Finding messages. */
import assert from "node:assert/strict";
import { checkAccess, connect, message, stage, testOf, visit } from "./stage.mjs";

const it = stage("[features.rate_limit]\nenabled = false\n");

testOf(["search"], "what is found is marked, and opens far up in its chat", async () => {
  const ann = await visit(it.browser, it.server.url);
  await connect(ann, "ann");
  const bob = await it.server.person("bob");
  await bob.post("/send", { to: "@ann", text: "The needle, 東京 \u003cb\u003e" });
  for (let n = 0; n < 130; n += 1) await bob.post("/send", { to: "@ann", text: `hay ${n}` });
  await ann.locator("#find").click();
  const sheet = ann.locator("#sheet");
  await sheet.locator("input[name=q]").fill("京 NEEDLE");
  await sheet.locator("input[name=q]").press("Enter");
  const hit = sheet.locator(".hit");
  await hit.waitFor();
  assert.deepEqual(await hit.locator("mark").allInnerTexts(), ["needle", "京"]);
  await checkAccess(ann, "search");
  await hit.click();
  const found = message(ann, "The needle");
  await found.waitFor();
  await ann.waitForFunction(() => document.activeElement?.textContent.includes("The needle"));
  assert.equal(new URL(ann.url()).hash, "#%40bob");
  const box = await found.boundingBox();
  assert.ok(box.y > 0 && box.y < 700, "it is in sight");
  await ann.locator("#find").click();
  await sheet.locator("input[name=q]").fill("-only");
  await sheet.locator("input[name=q]").press("Enter");
  await sheet.locator(".error").filter({ hasText: "needs a word" }).waitFor();
  await sheet.locator("input[name=q]").fill("nowhere");
  await sheet.locator("input[name=q]").press("Enter");
  await sheet.locator("p.hint").filter({ hasText: "Nothing was found." }).waitFor();
  await ann.context().close();
});
