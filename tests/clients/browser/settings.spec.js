import { KEY, otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

test("retention is kept, and a value that is none is refused where it stands", async ({ page }) => {
  await page.goto(at("/p/1/settings/retention"));
  const days = page.getByRole("spinbutton", { name: "Log lines" });
  await days.fill("30");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Settings saved")).toBeVisible();
  await page.reload();
  await expect(days).toHaveValue("30");
  await days.fill("99999999");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert").first()).toBeVisible();
  await days.fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Settings saved").first()).toBeVisible();
});

test("rules of redaction are tried before they hold", async ({ page }) => {
  await page.goto(at("/p/1/settings/redaction"));
  await page.getByRole("checkbox", { name: /Take secrets/ }).check();
  await page.getByRole("button", { name: "Add a pattern" }).click();
  await page.getByRole("textbox", { name: "Name of the pattern" }).fill("order");
  await page.getByRole("textbox", { name: "Regular expression" }).fill("ord-[0-9]+");
  await page.getByRole("textbox", { name: "A text" }).fill("ord-4711 of ada@example.org");
  await page.getByRole("button", { name: "Show what would be stored" }).click();
  const told = page.getByRole("status").filter({ hasText: " of " });
  await expect(told).toBeVisible();
  await expect(told).not.toContainText("4711");
  await expect(told).not.toContainText("ada@example.org");
  await expect(told).toContainText("order 1");
  // Nothing was saved.
  await page.reload();
  await expect(page.getByRole("checkbox", { name: /Take secrets/ })).not.toBeChecked();
});

test("what is used is counted", async ({ page }) => {
  await page.goto(at("/p/1/settings/usage"));
  const row = page.getByRole("row", { name: /Traces begun/ });
  await expect(row.getByRole("cell").first()).toHaveText(/^[1-9][\d,]*$/);
  await expect(page.getByRole("heading", { name: /Refused/ })).toBeVisible();
});

test("what is used is told by key, of ended ones, too", async ({ page }) => {
  const asked = async (method, path, body) => {
    const headers = { "x-api-key": KEY, "content-type": "application/json" };
    const answer = await fetch(`${url()}/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    expect(answer.ok, `${method} ${path}`).toBe(true);
    return answer.json();
  };
  const made = await asked("POST", "/keys", { name: "nightly import", scopes: ["ingest"] });
  const now = Date.UTC(2026, 0, 7);
  const spans = [1, 2].map((n) => ({ id: `000000000000000${n}`, name: `step ${n}`, from: now, to: now + 5 }));
  await send(url(), otlp("4e750000000000000000000000000001", spans), made.key);
  await asked("DELETE", `/keys/${made.key_id}`);
  await page.goto(at("/p/1/settings/usage"));
  const row = page.getByRole("group", { name: "By key" }).getByRole("row", { name: "nightly import" });
  await expect(row).toContainText("revoked");
  await expect(row).toContainText(made.key_id);
  await expect(row.locator(".num")).toHaveText(["1", "2", /^[1-9][\d,]*$/, "0"]);
  // The person who looks at this page asks without a key.
  await expect(page.getByRole("row", { name: "people, without a key" })).toBeVisible();
});

test("runs are reviewed one after the other from the keyboard", async ({ page }) => {
  await page.goto(at("/p/1/review?q=metadata.corpus%3Atau"));
  await expect(page.getByText(/^1 of /)).toBeVisible();
  await expect(page.getByRole("log")).toBeVisible();
  await page.keyboard.press("1");
  await expect(page.getByText("Scored good")).toBeVisible();
  await expect(page.getByText(/^2 of /)).toBeVisible();
  await page.keyboard.press("k");
  await expect(page.getByText("scored", { exact: true })).toBeVisible();
  // Whoever comes next is not asked again.
  const first = await page.getByRole("link", { name: /airline task/ }).getAttribute("href");
  await page.reload();
  await expect(page.getByText(/^1 of /)).toBeVisible();
  await expect(page.getByRole("link", { name: /airline task/ })).not.toHaveAttribute("href", first);
  await page.getByRole("button", { name: "Reviewed ones, too" }).click();
  await expect(page.getByRole("link", { name: /airline task/ })).toHaveAttribute("href", first);
});

test("paths say where runs go, and what differs between two sets", async ({ page }) => {
  await page.goto(at("/p/1/paths?q=metadata.corpus%3Atau"));
  await expect(page.getByRole("img", { name: /Graph of/ })).toContainText("(start)");
  // More than one search gives.
  await page.goto(at("/p/1/paths?q=status%3A(success%2Cerror)"));
  await expect(page.getByText(/^(The newest )?[1-9],\d{3} runs/)).toBeVisible();
  await page.getByRole("link", { name: "Example" }).first().click();
  await expect(page.getByRole("tree", { name: "Steps of the trace" })).toBeVisible();
  await page.goto(at("/p/1/compare"));
  await page.getByRole("button", { name: "Compare" }).click();
  await expect(page.getByRole("row", { name: /has_error true/ })).toBeVisible();
});
