import { BIG, otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const TRACE = "7b8efff798038103d269b633813fc60d";
const NOW = Date.UTC(2026, 0, 5, 10);
const id = (n) => (n + 1).toString(16).padStart(16, "0");

test.beforeAll(async () => {
  const spans = [
    { id: id(0), name: "plan a trip", from: NOW, to: NOW + 4000, attributes: { "user.id": "u-1", "session.id": "s-1" } },
    {
      id: id(1),
      parent: id(0),
      name: "chat gpt-4o",
      from: NOW + 100,
      to: NOW + 1900,
      attributes: {
        "openinference.span.kind": "LLM",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
        "input.value": "**two** tickets, please",
        "output.value": '{"seats": ["12A", "12B"], "price": 240}',
      },
    },
    {
      id: id(2),
      parent: id(0),
      name: "book",
      from: NOW + 2000,
      to: NOW + 3900,
      error: "card refused",
      attributes: { "openinference.span.kind": "TOOL", "tool.name": "book" },
    },
  ];
  await send(url(), otlp(TRACE, spans));
});

test("shows steps as a tree over time, and one step whole", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}`));
  const tree = page.getByRole("tree", { name: "Steps of the trace" });
  await expect(tree.getByRole("treeitem")).toHaveCount(3);
  await expect(tree.getByRole("treeitem").nth(1)).toHaveAttribute("aria-level", "2");
  await tree.getByRole("treeitem", { name: /chat gpt-4o/ }).click();
  await expect(page).toHaveURL(/span=/);
  const step = page.getByRole("complementary", { name: "Step" });
  await expect(step).toContainText("gpt-4o");
  await expect(step).toContainText("two");
  await page.keyboard.press("e");
  await expect(step).toContainText("card refused");
  await tree.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  await expect(tree.getByRole("treeitem")).toHaveCount(1);
  await page.keyboard.press("ArrowRight");
  await expect(tree.getByRole("treeitem")).toHaveCount(3);
});

test("tries of one thing stand together, and show what failed when asked", async ({ page }) => {
  const trace = "7e77e77e77e77e77e77e77e77e77e77e";
  const attempt = (n, error) => ({ id: id(n), parent: id(0), name: "pay", from: NOW + n * 100, to: NOW + n * 100 + 50, error });
  const root = { id: id(0), name: "order", from: NOW, to: NOW + 900 };
  await send(url(), otlp(trace, [root, attempt(1, "timeout"), attempt(2, "refused"), attempt(3)]));
  await page.goto(at(`/p/1/traces/${trace}`));
  const steps = page.getByRole("tree", { name: "Steps of the trace" }).getByRole("treeitem");
  await expect(steps).toHaveCount(2);
  await steps.nth(1).click();
  await expect(steps.nth(1)).toContainText("3 tries");
  await page.keyboard.press("t");
  await expect(steps).toHaveCount(4);
  await page.keyboard.press("t");
  await expect(steps).toHaveCount(2);
  // Going to an error opens what hides it, and so does a link.
  await page.keyboard.press("Shift+E");
  await expect(page.getByRole("complementary", { name: "Step" })).toContainText("refused");
  await page.goto(at(`/p/1/traces/${trace}?span=${id(1)}`));
  await expect(steps.nth(1)).toHaveAttribute("aria-selected", "true");
});

test("a run that goes on grows by itself", async ({ page }) => {
  const trace = "60e560e560e560e560e560e560e560e5";
  const now = Date.now() - 5000;
  const root = { id: id(0), name: "long run", from: now, to: now + 1 };
  const body = otlp(trace, [root]);
  // Neither has ended.
  delete body.resourceSpans[0].scopeSpans[0].spans[0].endTimeUnixNano;
  await send(url(), body);
  await page.goto(at(`/p/1/traces/${trace}`));
  const steps = page.getByRole("tree", { name: "Steps of the trace" }).getByRole("treeitem");
  await expect(steps).toHaveText(/running/);
  await send(url(), otlp(trace, [{ id: id(1), parent: id(0), name: "further", from: now + 100, to: now + 200 }]));
  await expect(steps).toHaveCount(2);
});

test("an attribute narrows the list", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?span=${id(1)}`));
  await page.getByRole("tab", { name: "Attributes" }).click();
  const line = page.getByRole("treeitem").filter({ hasText: "gen_ai.request.model" });
  await line.hover();
  await line.getByRole("button", { name: /^Only/ }).click();
  await expect(page).toHaveURL(/\/traces\?q=/);
});

test("what is not there says so", async ({ page }) => {
  await page.goto(at("/p/1/traces/not-there"));
  await expect(page.getByRole("alert")).toContainText("Not there");
});

test("a trace of 100,000 steps is shown with few elements", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${BIG.trace}`));
  const tree = page.getByRole("tree", { name: "Steps of the trace" });
  await expect(tree.getByRole("treeitem").first()).toBeVisible({ timeout: 30_000 });
  await expect(page.getByRole("tab", { name: /Steps 100,000/ })).toBeVisible();
  expect(await page.locator("*").count()).toBeLessThan(3000);
  await tree.focus();
  await page.keyboard.press("End");
  await expect(tree.getByRole("treeitem", { selected: true })).toBeVisible();
  expect(await page.locator("*").count()).toBeLessThan(3000);
  // No frame makes elements for more steps than it shows.
  const made = await tree.evaluate(async (element) => {
    let most = 0;
    const count = (changes) => {
      const added = changes.reduce((sum, change) => sum + change.addedNodes.length, 0);
      most = Math.max(most, added);
    };
    const observer = new MutationObserver(count);
    observer.observe(element, { childList: true, subtree: true });
    for (let n = 0; n < 40; n++) {
      element.scrollTop -= 2000;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    count(observer.takeRecords());
    observer.disconnect();
    return most;
  });
  expect(made).toBeGreaterThan(0);
  expect(made).toBeLessThan(500);
});
