/** Takes the pictures of the main views for the documentation: `node pictures.mjs ../../docs/pictures`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Server, connect, message, open, say, visit } from "./stage.mjs";

const folder = process.argv[2];
if (!folder) throw new Error("say into which folder");
mkdirSync(folder, { recursive: true });

const server = await Server.start('[server]\nname = "Old Town"\n');
const browser = await open();
const [bob, eva, ivan] = await Promise.all(["bob", "eva", "ivan"].map((name) => server.person(name)));
const ann = await visit(browser, server.url);
await connect(ann, "ann", "a");
const { token } = await ann.evaluate(() => JSON.parse(localStorage.getItem("veche.session")));
const me = (path, body = {}) => server.call(token, "POST", path, body);

await eva.post("/send", { to: "common", text: "Good morning. The square is free on Saturday, shall we meet there?" });
await eva.post("/send", { to: "common", text: "From ten, I would say. Whoever wants coffee brings a cup." });
const asked = await ivan.post("/send", { to: "common", text: "I can bring the long table and two benches, if somebody has a car." });
await me("/send", { to: "common", text: "I have one. Tell me when to come by." });
await me(`/messages/${asked.id}/comments`, { text: "How long is it?" });
await ivan.post(`/messages/${asked.id}/comments`, { text: "Two metres and a bit." });
await bob.post("/send", { to: "common", text: "@ann the shed is open all Friday, the key hangs where it always did.\nThe way there: https://example.org/shed" });
await eva.post("/send", { to: "@ann", text: "And what do we do about rain?" });
const { room } = await bob.post("/rooms", { title: "Kitchen", history: "all" });
await bob.post(`/rooms/${room.slice(5)}/invites`, { user: "ann" });
await me(`/rooms/${room.slice(5)}/join`);
await bob.post("/send", { to: room, text: "Bread is ordered." });
const garden = await me("/rooms", { title: "Garden" });
const link = await me(`/rooms/${garden.room.slice(5)}/links`, { expires: "7d", uses: 3 });
await ivan.post(link.url);
await eva.post(`/rooms/${(await eva.post("/rooms", { title: "Choir" })).room.slice(5)}/invites`, { user: "ann" });
await me("/scheduled", { to: "common", text: "Reminder: cups.", in: "10h" });
// A drawing of the page itself stands for a photograph.
const picture = await ann.evaluate(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 400 });
  const pen = canvas.getContext("2d");
  const sky = pen.createLinearGradient(0, 0, 0, 400);
  sky.addColorStop(0, "#f6d9a8");
  sky.addColorStop(1, "#e78f6a");
  pen.fillStyle = sky;
  pen.fillRect(0, 0, 640, 400);
  pen.fillStyle = "#7a3b3b";
  for (const [x, y, w] of [[40, 190, 120], [180, 150, 100], [300, 210, 150], [470, 170, 120]]) {
    pen.fillRect(x, y, w, 400 - y);
    pen.beginPath();
    pen.moveTo(x - 10, y);
    pen.lineTo(x + w / 2, y - 60);
    pen.lineTo(x + w + 10, y);
    pen.fill();
  }
  return canvas.toDataURL("image/png").split(",")[1];
});
await ann.locator("#pick").setInputFiles({ name: "square.png", mimeType: "image/png", buffer: Buffer.from(picture, "base64") });
await say(ann, "This is where it stood last year.");
await message(ann, "This is where").locator("img[src]").waitFor();

await ann.getByRole("button", { name: "Dismiss" }).click();

async function shots(colorScheme) {
  await ann.emulateMedia({ colorScheme });
  const shoot = async (name) => {
    await ann.mouse.move(0, 0);
    await ann.screenshot({ path: join(folder, `${name}-${colorScheme}.png`) });
  };
  await ann.setViewportSize({ width: 1100, height: 760 });
  await ann.goto(`${server.url}/#common`);
  await message(ann, "This is where").waitFor();
  await shoot("desktop");
  await message(ann, "long table").getByRole("button", { name: "2 comments" }).click();
  await ann.locator(".comments .text").nth(1).waitFor();
  await shoot("desktop-comments");
  await ann.keyboard.press("Escape");
  await ann.goto(`${server.url}/#${encodeURIComponent(garden.room)}`);
  await ann.locator("#title").filter({ hasText: "Garden" }).waitFor();
  await ann.locator("#details").click();
  await shoot("desktop-room");
  await ann.keyboard.press("Escape");
  await ann.setViewportSize({ width: 390, height: 780 });
  await ann.goto(`${server.url}/#`);
  await shoot("phone-chats");
  await ann.goto(`${server.url}/#common`);
  await message(ann, "This is where").waitFor();
  await shoot("phone");
  await ann.locator("#details").click();
  await shoot("phone-people");
  await ann.keyboard.press("Escape");
}
await shots("light");
await shots("dark");
const door = await visit(browser, server.url + link.url, { viewport: { width: 390, height: 780 } });
await door.getByLabel("Your name").waitFor();
await door.screenshot({ path: join(folder, "phone-door-light.png") });
await browser.close();
await server.end();
