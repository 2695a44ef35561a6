// What somebody sends must never do anything but be shown.
import { KEY, otlp, otlpCounters, otlpLogs, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const BEACON = "http://198.51.100.7/x";
const SCRIPTS = [
  "<script>window.__ran=1</script>",
  `<img src=x onerror="window.__ran=1">`,
  `<img src="${BEACON}">`,
  `<svg onload="window.__ran=1"><script>window.__ran=1</script></svg>`,
  `<svg><a xlink:href="javascript:window.__ran=1"><text>x</text></a></svg>`,
  `<iframe src="javascript:window.__ran=1"></iframe>`,
  `<iframe srcdoc="<script>parent.__ran=1</script>"></iframe>`,
  `<object data="${BEACON}"></object>`,
  `<embed src="${BEACON}">`,
  `<link rel=stylesheet href="${BEACON}">`,
  `<style>@import "${BEACON}";</style>`,
  `<body background="${BEACON}">`,
  `<video><source onerror="window.__ran=1"></video>`,
  `<video poster="${BEACON}"></video>`,
  `<details open ontoggle="window.__ran=1">x</details>`,
  `<math><mtext><table><mglyph><style><img src=x onerror="window.__ran=1">`,
  `<noscript><p title="</noscript><img src=x onerror=window.__ran=1>">`,
  `<base href="${BEACON}/">`,
  `<meta http-equiv=refresh content="0;url=${BEACON}">`,
  `<form action="${BEACON}"><button autofocus onfocus="window.__ran=1">x</button></form>`,
  `"><script>window.__ran=1</script>`,
  `'-window.__ran=1-'`,
  "javascript:window.__ran=1",
  "data:text/html,<script>parent.__ran=1</script>",
  "[link](javascript:window.__ran=1)",
  "[link](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[link](vbscript:x)",
  `![picture](${BEACON})`,
  `![picture](x" onerror="window.__ran=1)`,
  `[![x](${BEACON})](javascript:window.__ran=1)`,
  `<a href="javascript:window.__ran=1">x</a>`,
  "```html\n<script>window.__ran=1</script>\n```",
  "# <script>window.__ran=1</script>",
  "| a |\n|---|\n| <img src=x onerror=window.__ran=1> |",
  "> <img src=x onerror=window.__ran=1>",
  "**<b onmouseover=window.__ran=1>x</b>**",
  "&lt;script&gt;window.__ran=1&lt;/script&gt;",
  "&#x3C;script&#x3E;window.__ran=1",
  "{{constructor.constructor('window.__ran=1')()}}",
  "${window.__ran=1}",
  "__proto__",
  "constructor",
  "../../../etc/passwd",
  "..%2f..%2f",
  "\u202e\u2066right to left\u2069",
  "a\u0000b",
  "\u001b[2J\u001b]0;title\u0007",
  "🏴‍☠️".repeat(40),
  "x".repeat(5000),
];
const PICTURES = [
  `data:image/svg+xml;base64,${Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" onload="parent.__ran=1"><image href="${BEACON}"/></svg>`).toString("base64")}`,
  BEACON,
];
// In texts, names, keys, ids, errors and messages: each of the above in another place.
const places = ["text", "name", "key", "error", "message", "tag", "user"];

function spanOf(payload, n, place) {
  const now = Date.UTC(2026, 1, 1) + n;
  const attributes = { "input.value": "in", "output.value": "out" };
  let name = `hostile ${n}`;
  let error;
  if (place === "text") Object.assign(attributes, { "input.value": payload, "output.value": payload });
  if (place === "name") name = payload || "x";
  if (place === "key") attributes[payload] = payload;
  if (place === "error") error = payload;
  if (place === "tag") Object.assign(attributes, { "tag.tags": payload, "deployment.environment": payload });
  if (place === "user") Object.assign(attributes, { "user.id": payload, "session.id": payload });
  if (place === "message") {
    Object.assign(attributes, {
      "openinference.span.kind": "LLM",
      "llm.input_messages.0.message.role": "user",
      "llm.input_messages.0.message.content": payload,
      "llm.output_messages.0.message.role": payload,
      "llm.output_messages.0.message.content": payload,
      "gen_ai.prompt.0.role": "user",
      "gen_ai.prompt.0.content": payload,
    });
  }
  return { id: (n + 1).toString(16).padStart(16, "0"), name, error, from: now, to: now + 5, attributes };
}

test("a hundred hostile texts run nothing, load nothing and break nothing", async ({ page }) => {
  test.setTimeout(120_000);
  const traces = [];
  const payloads = [...SCRIPTS, ...PICTURES, ...SCRIPTS.slice(0, 49)];
  payloads.forEach((payload, n) => {
    const trace = (0xabc000 + n).toString(16).padStart(32, "0");
    traces.push([trace, spanOf(payload, n, places[n % places.length])]);
  });
  expect(traces.length).toBeGreaterThanOrEqual(100);
  for (const [trace, span] of traces) await send(url(), otlp(trace, [span]));
  // All in one trace, too: one page of a trace shows them all.
  const all = payloads.map((payload, n) => ({ ...spanOf(payload, n, places[(n + 3) % places.length]), ...(n > 0 ? { parent: "1".padStart(16, "0") } : {}) }));
  const together = "feedfacefeedfacefeedfacefeedface";
  await send(url(), otlp(together, all));

  await page.goto(at(`/p/1/traces?from=2026-02-01&to=2026-02-02&cols=status,name,input,output,user,thread,tags,environment`));
  await expect(page.getByRole("grid").getByRole("row").nth(3)).toBeVisible();
  await page.getByRole("combobox", { name: "Search traces" }).fill("user_id:");
  await page.getByRole("option").first().waitFor();
  await page.getByRole("combobox", { name: "Search traces" }).blur();
  for (const path of ["threads", "users"]) {
    await page.goto(at(`/p/1/${path}?from=2026-02-01&to=2026-02-02`));
    await expect(page.getByRole("table")).toBeVisible();
  }
  await page.goto(at(`/p/1/traces/${together}`));
  const tree = page.getByRole("tree", { name: "Steps of the trace" });
  await expect(tree.getByRole("treeitem").first()).toBeVisible();
  await tree.focus();
  await page.keyboard.press("Home");
  for (let n = 0; n < all.length; n++) {
    await expect(page.getByRole("tabpanel")).toBeVisible();
    const formatted = page.getByRole("button", { name: "Formatted" });
    if (await formatted.count()) await formatted.first().click({ timeout: 2000 });
    if (n % 5 === 0) {
      await page.getByRole("tab", { name: "Attributes" }).click();
      await expect(page.getByRole("tabpanel", { name: "Attributes" })).toBeVisible();
    }
    await tree.focus();
    await page.keyboard.press("ArrowDown");
  }
  await page.getByRole("tab", { name: "Conversation" }).click();
  await page.locator(".message").first().waitFor();
  expect(await page.evaluate(() => window.__ran)).toBeUndefined();
  expect(await page.locator("main script, main iframe, main object, main embed, main form, main link, main style, main base, main meta").count()).toBe(0);
  // What was sent is there to be read.
  await expect(page.getByText("window.__ran=1").first()).toBeVisible();
});

test("as log lines and metrics they do nothing either", async ({ page }) => {
  test.setTimeout(120_000);
  const now = Date.UTC(2026, 1, 3);
  const all = [...SCRIPTS, ...PICTURES];
  const lines = all.map((payload, n) => ({ at: now + n, level: 9, body: payload, attributes: { [payload]: payload, n } }));
  await send(url(), otlpLogs(all[0], lines), KEY, "logs");
  const points = [[now, 1], [now + 10_000, 5]];
  const models = Object.fromEntries(all.filter((one) => one !== "__proto__").map((payload) => [payload, points]));
  await send(url(), otlpCounters(all[0], all[1], models), KEY, "metrics");
  await page.goto(at("/p/1/logs?from=2026-02-03&to=2026-02-04"));
  const rows = page.getByRole("listbox", { name: "Log lines" });
  await expect(rows.getByRole("option").first()).toBeVisible();
  await rows.focus();
  const detail = page.getByRole("complementary", { name: "Line" });
  for (let n = 0; n < all.length; n++) {
    await page.keyboard.press("ArrowDown");
    await expect(detail.getByRole("heading", { name: "Attributes" })).toBeVisible();
    const formatted = detail.getByRole("button", { name: "Formatted" });
    if (await formatted.count()) await formatted.first().click({ timeout: 2000 });
    await rows.focus();
  }
  await page.goto(at("/p/1/metrics?from=2026-02-03&to=2026-02-04"));
  await expect(page.getByRole("application")).toBeVisible();
  await expect(page.getByText("window.__ran=1").first()).toBeVisible();
  expect(await page.evaluate(() => window.__ran)).toBeUndefined();
  expect(await page.locator("main script, main iframe, main object, main embed, main form, main link, main style").count()).toBe(0);
});
