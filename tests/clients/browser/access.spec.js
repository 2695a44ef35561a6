// No violation of what axe knows, on each page, in the dark and in the light, wide and on a phone.
import AxeBuilder from "@axe-core/playwright";
import { otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const TRACE = "ace0ace0ace0ace0ace0ace0ace0ace0";
const PAGES = [
  ["/p/1/traces", ".grid-row"],
  [`/p/1/traces/${TRACE}?span=0000000000000002`, ".step-content"],
  [`/p/1/traces/${TRACE}?tab=conversation`, ".talk, .empty"],
  [`/p/1/traces/${TRACE}?tab=feedback`, ".feedback"],
  ["/p/1/start", ".card"],
  ["/p/1/threads", "table, .empty"],
  ["/p/1/users", "table, .empty"],
  ["/p/1/charts", ".chart"],
  ["/p/1/paths", ".graph"],
  ["/p/1/review", ".review-body"],
  ["/p/1/compare", ".set-form"],
  ["/p/1/settings/keys", "table"],
  ["/p/1/settings/general", ".card"],
  ["/o/1/members", "table"],
  ["/o/1/audit", "table"],
  ["/account", ".card"],
];

test.beforeAll(async () => {
  const now = Date.UTC(2026, 2, 1);
  const spans = [
    { id: "0000000000000001", name: "root", from: now, to: now + 50 },
    {
      id: "0000000000000002",
      parent: "0000000000000001",
      name: "chat",
      from: now + 5,
      to: now + 40,
      error: "broken",
      attributes: { "openinference.span.kind": "LLM", "input.value": '{"a": [1, true, null, "x"]}', "output.value": "- one\n- two" },
    },
  ];
  await send(url(), otlp(TRACE, spans));
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
    for (const [path, ready] of PAGES) {
      await page.goto(at(path));
      await expect(page.locator(ready).first()).toBeVisible();
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, nodes } of violations) {
        found.push(`${path} ${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) found.push(`${path} is ${overflow} px too wide`);
    }
    expect(found).toEqual([]);
  });
}
