/** A real server on a free port of this machine, and browsers to look at it with. */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const BINARY = process.env.VECHE_BINARY ?? new URL("../../target/debug/veche", import.meta.url).pathname;
const empty = mkdtempSync(join(tmpdir(), "veche-browser-"));
/** The features that this server is built with: their files may be taken out. */
export const FEATURES = execFileSync(BINARY, ["features"], { cwd: empty, encoding: "utf8" })
  .split("\n").flatMap((line) => /^(\w+) \(/.exec(line)?.[1] ?? []);
/** How long anything may take that is waited for, in milliseconds. */
export const PATIENCE = 20_000;

rmSync(empty, { recursive: true });

/** The servers that run. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export class Server {
  #folder = mkdtempSync(join(tmpdir(), "veche-browser-"));
  #port = 0;
  #child;

  static async start(config = "") {
    const server = new Server();
    server.configure(config);
    await server.restart();
    return server;
  }

  /** What its next start goes by. */
  configure(config) {
    writeFileSync(join(this.#folder, "config.toml"), config);
  }

  /** Runs it on the same data, and on the same port if it had one. */
  async restart() {
    this.#child = spawn(BINARY, ["--listen", `127.0.0.1:${this.#port}`], {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "ignore"],
    });
    for await (const piece of this.#child.stdout) {
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(piece)?.[1];
      if (port) {
        this.#port = Number(port);
        this.#child.stdout.resume();
        // One that a failed test has left keeps nobody waiting, and goes with the tests.
        running.add(this.#child);
        this.#child.unref();
        this.#child.stdout.unref();
        return;
      }
    }
    throw new Error("the server did not start");
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Ends it as a crash would. */
  async kill() {
    const gone = once(this.#child, "exit");
    running.delete(this.#child);
    this.#child.ref();
    this.#child.kill("SIGKILL");
    await gone;
  }

  /** Keeps a copy of the data of a server that does not run. */
  keep() {
    const filter = (from) => !lstatSync(from).isSocket();
    cpSync(join(this.#folder, "data"), join(this.#folder, "kept"), { recursive: true, filter });
  }

  /** Puts that copy in place of the data. */
  putBack() {
    rmSync(join(this.#folder, "data"), { recursive: true });
    cpSync(join(this.#folder, "kept"), join(this.#folder, "data"), { recursive: true });
  }

  async end() {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }

  /** A call to the API by somebody who has no browser. */
  async call(token, method, path, body) {
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return response.status === 204 ? null : response.json();
  }

  /** Somebody who has no browser. */
  async person(name, password) {
    const { token } = await this.call(null, "POST", "/connect", { name, ...(password && { password }) });
    return {
      post: (path, body = {}) => this.call(token, "POST", path, body),
      get: (path) => this.call(token, "GET", path),
    };
  }
}

export const open = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

/** What pages said that should not have been said. */
export const complaints = [];

/** A browser and a server for the tests of a file: they are there once the first test runs. */
export function stage(config) {
  const it = {};
  before(async () => Object.assign(it, { browser: await open(), server: await Server.start(config) }));
  after(async () => {
    await it.browser.close();
    await it.server.end();
    assert.deepEqual(complaints, [], "what the pages complained of");
  });
  return it;
}

const has = (...features) => features.every((feature) => FEATURES.includes(feature));
/** A test of what these features do together. */
export const testOf = (features, ...rest) => has(...features) && test(...rest);

/** A page of a browser of its own, with its own storage. */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, reducedMotion: "reduce", locale: "en-GB", ...options });
  return tab(context, url);
}

export async function tab(context, url) {
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    // A server that is not there, or refuses, is the browser's to note.
    const isNoted = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isNoted) complaints.push(message.text());
  });
  await page.goto(url);
  return page;
}

export async function connect(page, name, password = "") {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel(/^Password/).fill(password);
  await page.getByRole("button", { name: "Connect" }).click();
  await page.locator("#chats a").first().waitFor();
}

export async function say(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
}

export const message = (page, text) => page.locator("#messages .message").filter({ hasText: text });

/** Waits until something holds. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  while (!(await look())) {
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await new Promise((go) => setTimeout(go, 25));
  }
}

/** Holds a page to the rules of access (WCAG 2.2, A and AA, and what axe calls best practice). */
export async function checkAccess(page, view) {
  // The policy of the page lets nobody add a script, so axe comes by the protocol.
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" | ")}`);
  assert.deepEqual(found, [], view);
}

/** The token that a page keeps. */
export const tokenOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("veche.session")).token);
