/* What browser tests share: a server of one's own, Debian's Chromium, checks that wait.
 *
 * Free ports, a temporary directory; only processes started here are ended. playwright-core comes from the page's own
 * packages, which the build fetched into BUILD/ui.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const build = resolve(process.argv[2] ?? "build");
const { chromium } = createRequire(join(build, "ui", "package.json"))("playwright-core");
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer().on("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

export class Server {
  commands = new Set();

  static async start() {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "rialto-ui-"));
    server.kafka = `127.0.0.1:${await freePort()}`;
    server.http = `http://127.0.0.1:${await freePort()}`;
    await server.run();
    return server;
  }

  async run() {
    const set = (option) => ["--set", option];
    const words = ["server", "--data", join(this.directory, "data"), ...set(`kafka.listen=${this.kafka}`), ...set(`http.listen=${this.http.slice(7)}`)];
    this.process = spawn(join(build, "rialto"), words, { stdio: ["ignore", "pipe", "pipe"] });
    this.log = "";
    this.process.stderr.on("data", (text) => (this.log += text));
    this.ended = new Promise((done) => this.process.on("exit", (code, signal) => done(signal ?? code)));
    await new Promise((ready, fail) => {
      this.process.stdout.on("data", (text) => String(text).startsWith("ready in ") && ready());
      this.ended.then((status) => fail(new Error(`the server ended with ${status}: ${this.log}`)));
    });
  }

  async stop() {
    this.process.kill("SIGTERM");
    const status = await this.ended;
    if (status !== 0) throw new Error(`the server ended with ${status}: ${this.log.slice(-3000)}`);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async ksql(text) {
    const body = JSON.stringify({ ksql: text, streamsProperties: {} });
    const answer = await fetch(`${this.http}/ksql`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!answer.ok) throw new Error(`${text}: ${await answer.text()}`);
    return answer.json();
  }

  /* A command of the program, to its end. */
  cli(...words) {
    const run = spawn(join(build, "rialto"), [...words, "-b", this.kafka, "--url", this.http], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    this.commands.add(run);
    run.stderr.on("data", (text) => (log += text));
    run.on("exit", () => this.commands.delete(run));
    return new Promise((done, fail) => run.on("exit", (code) => (code === 0 ? done() : fail(new Error(`rialto ${words.join(" ")}: ${code}: ${log}`)))));
  }

  /* After a failure: nothing that was started goes on. */
  async abandon() {
    for (const run of this.commands) run.kill("SIGKILL");
    await this.kill();
  }

  remove() {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function openBrowser() {
  const executablePath = BROWSERS.find(existsSync);
  if (!executablePath) throw new Error("no Chromium: apt-get install chromium");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
}

/* A page that remembers what must never happen: errors, breaches of its policy, requests to elsewhere. */
export async function openPage(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.http) && !url.startsWith("data:")) wrong.push(`request to ${url}`);
  });
  await page.exposeFunction("reportViolation", (text) => wrong.push(`policy: ${text}`));
  await page.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`)),
  );
  return { page, wrong, context };
}

export function check(what, condition, seen = "") {
  if (!condition) throw new Error(`not so: ${what}${seen === "" ? "" : `; seen: ${seen}`}`);
}

export async function until(what, condition, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain until ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
