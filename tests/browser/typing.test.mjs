/** Who is writing. */
import assert from "node:assert/strict";
import { connect, message, stage, testOf, visit } from "./stage.mjs";

const it = stage("");

testOf(["presence"], "who writes is shown until it is sent, on both sides, and in that chat alone", async () => {
  const [ann, bob] = await Promise.all([visit(it.browser, it.server.url), visit(it.browser, it.server.url)]);
  await connect(ann, "ann");
  await connect(bob, "bob");
  const cat = await it.server.person("cat");
  await ann.goto(`${it.server.url}/#@bob`);
  await bob.goto(`${it.server.url}/#@ann`);
  const [hers, his] = [ann, bob].map((page) => page.locator("#about"));
  await bob.locator("#text").pressSequentially("hel");
  await hers.filter({ hasText: "bob is writing…" }).waitFor();
  assert.equal(await his.innerText(), "online", "not to oneself");
  await cat.post("/typing", { to: "common" });
  await bob.locator("#text").press("Enter");
  await message(ann, "hel").waitFor();
  await hers.filter({ hasText: "online" }).waitFor();
  await ann.goto(`${it.server.url}/#common`);
  await hers.filter({ hasText: "cat is writing…" }).waitFor();
  await Promise.all([ann.context().close(), bob.context().close()]);
});
