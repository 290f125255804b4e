/* The page in real Chromium: from an empty server to the numbers of the demo on screen, by mouse and by keys. */
import { readFileSync } from "node:fs";
import { check, openBrowser, openPage, Server, until } from "./browser.mjs";

const RECORDS = 600;
const pipeline = readFileSync(new URL("../../examples/transactions/pipeline.sql", import.meta.url), "utf8");

/* Texts of the cells of the first table, row by row. */
const cells = (page) => page.$$eval("[data-list] tr", (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));

async function emptyServer({ page, server }) {
  await page.goto(`${server.http}/ui/`);
  await page.getByText("Nothing flows yet").waitFor();
  await page.getByText(server.kafka).first().waitFor();
}

/* Nothing is reloaded: the graph appears in the open page. */
async function flowAppears({ page, server }) {
  await server.ksql(pipeline);
  await page.getByLabel("query WINDOW_TRANSACTIONS").waitFor();
  const sending = server.cli("datagen", "--schema", "transactions", "--rate", "150", "--count", String(RECORDS));
  sending.catch(() => undefined); /* awaited later */
  await until("an edge shows its rate", () => page.$$eval(".edge-rate.flows", (labels) => labels.some((label) => /[1-9]\d+\/s/.test(label.textContent ?? ""))));
  await page.getByText("All flowing").first().waitFor();
  await page.getByLabel("topic window_transactions").click();
  await page.getByRole("complementary").getByText("Records written").waitFor();
  check("the panel is in the address", new URL(page.url()).searchParams.get("panel") === "topic:window_transactions", page.url());
  await page.keyboard.press("Escape");
  await page.getByRole("complementary").waitFor({ state: "detached" });
  return { sending };
}

async function recordsArrive({ page, server }) {
  await page.goto(`${server.http}/ui/topics/transactions`);
  await until("records are there", async () => (await cells(page)).length >= 50);
  const first = (await cells(page))[0][1];
  await until("newer records come on top", async () => (await cells(page))[0][1] !== first);
  await page.locator("[data-list] tr").first().click();
  await page.getByRole("complementary").getByText('"user_id"').waitFor();
  await page.keyboard.press("Escape");
}

/* Who pays how much is known: ten times the leading digit of the id, and 0 counts as 10. */
async function tableAddsUp({ page, server }) {
  await page.goto(`${server.http}/ui/tables/WINDOW_TRANSACTIONS`);
  const rows = await until("all payments are counted", async () => {
    const rows = await cells(page);
    return rows.reduce((sum, row) => sum + Number(row[3]), 0) === RECORDS && rows;
  }, 40);
  for (const [user, , , payments, total] of rows)
    check(`${user} pays the same each time`, Number(total) === Number(payments) * 10 * (Number(user[0]) || 10), `${payments} ${total}`);
  check("there are ten users", new Set(rows.map((row) => row[0])).size === 10);
}

async function sqlStreams({ page, server }) {
  await page.goto(`${server.http}/ui/sql`);
  await page.getByLabel("SQL", { exact: true }).fill("SELECT user_id, amount FROM transactions EMIT CHANGES LIMIT 7;");
  await page.getByLabel("from").selectOption("earliest");
  await page.keyboard.press("Control+Enter");
  await until("seven rows came", async () => (await cells(page)).length === 7);
  await page.getByText("ended · 7 rows").waitFor();
  await page.getByLabel("SQL", { exact: true }).fill("SELECT * FROM transactions EMIT CHANGES;");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("running").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("ended").waitFor();
  await page.getByLabel("SQL", { exact: true }).fill("SELECT nothing FROM nowhere;");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alert").getByText(/nowhere/i).waitFor();
  await page.getByLabel("SQL", { exact: true }).fill("SHOW TOPICS;");
  await page.keyboard.press("Control+Enter");
  await page.getByText("window_transactions").first().waitFor();
}

async function queryPausesAndResumes({ page, server }) {
  await page.goto(`${server.http}/ui/queries`);
  await page.getByText("CTAS_WINDOW_TRANSACTIONS").first().click();
  await page.getByText("GROUP BY user_id").waitFor();
  await page.getByText("group by", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
}

/* Values are data: exact to the digit, never markup. */
async function valuesAreShownAsSent({ page, server }) {
  await server.ksql("CREATE STREAM odd (id VARCHAR KEY, big BIGINT, note VARCHAR) WITH (KAFKA_TOPIC='odd', VALUE_FORMAT='JSON', PARTITIONS=1);");
  await server.ksql(`INSERT INTO odd (id, big, note) VALUES ('k', 9007199254740993, '<img src=x onerror="window.__pwned=1">\u202e');`);
  await page.goto(`${server.http}/ui/topics/odd`);
  await page.getByText("9007199254740993").first().waitFor();
  await page.getByText("onerror").first().waitFor();
  await page.getByText("\\u202e").first().waitFor();
  check("a value never runs", (await page.evaluate(() => window.__pwned)) === undefined);
  await page.goto(`${server.http}/ui/sql?reset=earliest&q=${encodeURIComponent("SELECT big FROM odd EMIT CHANGES LIMIT 1;")}`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("9007199254740993").first().waitFor();
}

async function keysGoEverywhere({ page, server }) {
  await page.goto(`${server.http}/ui/topics`);
  await page.getByText("window_transactions").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await until("the first topic is open", () => page.url().endsWith("/ui/topics/odd"));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("window_tr");
  await page.getByRole("option").filter({ hasText: "table" }).waitFor();
  await page.keyboard.press("Enter");
  await until("the hit is open", () => page.url().includes("WINDOW_TRANSACTIONS") || page.url().includes("window_transactions"));
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.getByText("No connectors yet").waitFor();
  const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.getByRole("button", { name: "Light or dark" }).click();
  check("the theme changes", before !== (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)));
}

async function survivesTheServer({ page, server }) {
  await page.goto(`${server.http}/ui/`);
  await page.getByText(/All (flowing|idle)/).first().waitFor();
  await server.kill();
  await page.getByText("Not connected").waitFor();
  await server.run();
  await page.getByText(/All (flowing|idle)/).first().waitFor();
}

async function fitsNarrow(browser, server) {
  const { page, wrong } = await openPage(browser, server, { viewport: { width: 390, height: 844 }, colorScheme: "dark" });
  for (const path of ["", "topics", "topics/transactions", "tables/WINDOW_TRANSACTIONS", "queries/CTAS_WINDOW_TRANSACTIONS_1", "sql", "connectors", "no/such/page"]) {
    await page.goto(`${server.http}/ui/${path}`);
    await page.locator("main h1, main h2").first().waitFor({ state: "attached" });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    check(`/ui/${path} fits 390 px`, width <= 390, width);
  }
  check("nothing went wrong in the narrow window", wrong.length === 0, wrong.join("; "));
}

const server = await Server.start();
const browser = await openBrowser();
const { page, wrong } = await openPage(browser, server);
const test = { page, server };
try {
  await emptyServer(test);
  const { sending } = await flowAppears(test);
  await recordsArrive(test);
  await sending;
  await tableAddsUp(test);
  await sqlStreams(test);
  await queryPausesAndResumes(test);
  await valuesAreShownAsSent(test);
  await keysGoEverywhere(test);
  await survivesTheServer(test);
  await fitsNarrow(browser, server);
  check("nothing went wrong", wrong.length === 0, wrong.join("; "));
  await server.stop(); /* with pages open */
  server.remove();
  console.log("passed");
} catch (error) {
  console.error(`FAILED: ${error.stack}\n${page.url()}\n${wrong.join("\n")}\n${server.log.slice(-2000)}`);
  process.exitCode = 1;
  await server.abandon();
} finally {
  await browser.close();
}
