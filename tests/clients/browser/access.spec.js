// No violation of what axe knows, on each page, in the dark and in the light, wide and on a phone.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { KEY, otlp, otlpCounters, otlpLogs, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// A folder for a picture of each page, for somebody to look at.
const SHOTS = process.env.OBSRV_BROWSER_SHOTS;
const TRACE = "ace0ace0ace0ace0ace0ace0ace0ace0";
const OTHER = "ace1ace1ace1ace1ace1ace1ace1ace1";
const STEP = "0000000000000002";
const PAGES = [
  ["/p/1/traces", ".grid-row:not(.is-ghost)"],
  [`/p/1/traces?peek=${TRACE}`, ".peek .waterfall-row"],
  [`/p/1/traces/${TRACE}?span=${STEP}`, ".step-content"],
  [`/p/1/traces/${TRACE}?tab=conversation`, ".talk"],
  [`/p/1/traces/${TRACE}?tab=graph`, ".graph"],
  [`/p/1/traces/${TRACE}?tab=logs`, ".log-fold"],
  [`/p/1/traces/${TRACE}?tab=feedback`, ".feedback"],
  ["/p/1/start", ".card"],
  ["/p/1/threads", "table"],
  ["/p/1/users", "table"],
  ["/p/1/users/user-of-axe", "table"],
  ["/p/1/logs?q=service%3Aaxe", ".log-row"],
  ["/p/1/metrics?q=service%3Aaxe", ".chart"],
  ["/p/1/charts", ".heat"],
  ["/p/1/paths", ".graph"],
  ["/p/1/review", ".review-body"],
  ["/p/1/compare", ".set-form"],
  [`/p/1/compare?ids=${TRACE},${OTHER}`, ".diff li"],
  [`/p/1/traces/${TRACE}?tab=files`, ".file"],
  ["/p/1/settings/keys", "table"],
  ["/p/1/settings/experiments", "section.card table"],
  ["/p/1/settings/retention", ".fields"],
  ["/p/1/settings/redaction", ".button.main"],
  ["/p/1/settings/usage", "table"],
  ["/p/1/settings/general", ".card"],
  ["/o/1/members", "table"],
  ["/o/1/audit", "table"],
  ["/account", ".card"],
];

test.beforeAll(async () => {
  const now = Date.UTC(2026, 2, 1);
  const attributes = { "openinference.span.kind": "LLM", "input.value": '{"a": [1, true, null, "x"]}', "output.value": "- one\n- two" };
  const spans = [
    { id: "0000000000000001", name: "root", from: now, to: now + 50, attributes: { "user.id": "user-of-axe", "session.id": "t" } },
    { id: STEP, parent: "0000000000000001", name: "chat", from: now + 5, to: now + 40, error: "broken", attributes },
  ];
  for (const trace of [TRACE, OTHER]) await send(url(), otlp(trace, spans));
  const file = { method: "POST", headers: { "x-api-key": KEY, "content-type": "text/plain" }, body: "said" };
  await fetch(`${url()}/v1/projects/1/traces/${TRACE}/blobs?name=said.txt`, file);
  const lines = [5, 9, 13, 17].map((level, n) => ({ at: now + n, level, body: `level ${level}`, traceId: TRACE, spanId: STEP }));
  await send(url(), otlpLogs("axe", lines), KEY, "logs");
  const arms = [{ id: "a", traffic_pct: 100 }];
  await send(url(), { name: "axe", arms }, KEY, "experiments");
  await send(url(), otlpCounters("axe", "tokens", { a: [[now, 1], [now + 9000, 5]], b: [[now, 1], [now + 9000, 9]] }), KEY, "metrics");
});

for (const [scheme, width] of [
  ["light", 1440],
  ["dark", 390],
]) {
  test(`axe finds nothing: ${scheme}, ${width} wide`, async ({ page }) => {
    test.setTimeout(120_000);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 860 });
    const found = [];
    // One load: from page to page as by a click.
    await page.goto(at("/p/1/traces"));
    await page.evaluate(AXE);
    for (const [path, ready] of PAGES) {
      await page.evaluate((to) => history.pushState(null, "", to), path);
      await expect(page.locator(ready).first(), path).toBeVisible();
      await expect(page.locator("[aria-busy=true]"), path).toHaveCount(0);
      const violations = await page.evaluate(async () => {
        const answer = await window.axe.run(document, { resultTypes: ["violations"] });
        return answer.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" | ")}`);
      });
      found.push(...violations.map((one) => `${path} ${one}`));
      if (SHOTS) {
        await page.screenshot({ path: join(SHOTS, `${scheme}-${width}${path.replaceAll(/[^a-z0-9]+/gi, "-")}.png`) });
      }
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) found.push(`${path} is ${overflow} px too wide`);
    }
    expect(found).toEqual([]);
  });
}
