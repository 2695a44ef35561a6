import { KEY, otlp, send } from "./obsrv.js";
import { at, expect, headline, rows, test, url } from "./page.js";

test("filters by search, facet and time; all of it is in the address, and back goes back", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await expect(rows(page).first()).toBeVisible();
  const all = await headline(page).textContent();
  await page.keyboard.press("/");
  const search = page.getByRole("combobox", { name: "Search traces" });
  await expect(search).toBeFocused();
  await search.fill("status:error");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=status%3Aerror/);
  await expect(headline(page)).not.toHaveText(all);
  const failed = await headline(page).textContent();
  await page.reload();
  await expect(headline(page)).toHaveText(failed);
  await page.goBack();
  await expect(headline(page)).toHaveText(all);
});

test("a facet says how many traces a click leaves", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  const facet = page.getByRole("region", { name: "status" });
  const value = facet.getByRole("button", { name: /error/ }).first();
  const promised = (await value.locator(".num").textContent()).trim();
  await value.click();
  await expect(headline(page)).toHaveText(promised);
  // Its other values stay in sight, counted as without it.
  await expect(facet.getByRole("button", { name: /success/ }).first()).toBeVisible();
  await facet.getByRole("button", { name: /error/ }).first().click();
  await expect(page).not.toHaveURL(/q=/);
});

test("completes keys and values from what is stored", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  const search = page.getByRole("combobox", { name: "Search traces" });
  await search.click();
  await search.pressSequentially("metadata.cor");
  await page.getByRole("option", { name: /^metadata\.corpus/ }).click();
  await expect(search).toHaveValue("metadata.corpus:");
  await page.getByRole("option", { name: /tau/ }).first().click();
  await expect(page).toHaveURL(/metadata.corpus%3A/);
  await expect(rows(page).first()).toBeVisible();
});

test("a score that came is completed, counted, shown and filtered by", async ({ page }) => {
  const now = Date.now();
  const traces = ["calm", "calm", "tense"].map((value, n) => [`${"5c04e".repeat(6)}0${n}`, value]);
  for (const [trace, value] of traces) {
    await send(url(), otlp(trace, [{ id: "5c04e5c04e5c04e5", name: "scored", from: now - 1000, to: now }]));
    const score = { trace_id: trace, name: "tone of voice", value };
    const headers = { "x-api-key": KEY, "content-type": "application/json" };
    const to = { method: "POST", headers, body: JSON.stringify(score) };
    expect((await fetch(at("/v1/projects/1/scores"), to)).status).toBe(201);
  }
  await page.goto(at("/p/1/traces"));
  const search = page.getByRole("combobox", { name: "Search traces" });
  await search.click();
  await search.pressSequentially("scores.to");
  await page.getByRole("option", { name: /^scores\.tone of voice/ }).click();
  await expect(search).toHaveValue('scores."tone of voice":');
  await search.pressSequentially("calm");
  await page.keyboard.press("Enter");
  await expect(headline(page)).toHaveText("2");
  await expect(page).toHaveURL(/scores/);
  // Its other value stays in sight, counted as without it.
  const facet = page.getByRole("region", { name: "scores.tone of voice" });
  await facet.getByRole("button", { name: /^tense/ }).click();
  await expect(headline(page)).toHaveText("3");
  await facet.getByRole("button", { name: /^tense/ }).click();
  await expect(headline(page)).toHaveText("2");
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "Scores" }).check();
  await page.keyboard.press("Escape");
  await expect(rows(page).first()).toContainText("tone of voice calm");
  await page.goto(at("/p/1/traces"));
  const row = rows(page).filter({ hasText: "tone of voice tense" });
  await row.getByText("tone of voice tense").hover();
  await row.getByRole("button", { name: "Only scores.tone of voice tense" }).click();
  await expect(headline(page)).toHaveText("1");
  await expect(rows(page).first()).toContainText("tone of voice tense");
});

test("where it ran is a facet, a column and a fact of the trace, whatever the sender calls it", async ({ page }) => {
  const now = Date.now();
  const senders = [
    { "deployment.environment.name": "stage-1", "cloud.region": "eu-west-1", "service.version": "9.1" },
    { "obtrace.env": "stage-1", region: "us-east-1", "service.version": "9.1" },
    { "deployment.environment": "stage-2", "cloud.region": "us-east-1", "service.version": "9.2" },
  ];
  for (const [n, of] of senders.entries()) {
    const step = { id: "91ace91ace91ace9", name: "placed", from: now - 1000, to: now };
    await send(url(), otlp(`${"91ace".repeat(6)}0${n}`, [step], of));
  }
  await page.goto(at("/p/1/traces?q=name%3Aplaced"));
  await expect(headline(page)).toHaveText("3");
  const facet = (name) => page.getByRole("region", { name, exact: true });
  await facet("environment").getByRole("button", { name: /^stage-1/ }).click();
  await expect(headline(page)).toHaveText("2");
  await facet("region").getByRole("button", { name: /^us-east-1/ }).click();
  await expect(headline(page)).toHaveText("1");
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "Version" }).check();
  await page.keyboard.press("Escape");
  await expect(rows(page).first()).toContainText("9.1");
  await rows(page).first().click();
  await expect(page.getByText("us-east-1").first()).toBeVisible();
});

test("says where a search is wrong, and keeps what was there", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await expect(rows(page).first()).toBeVisible();
  const search = page.getByRole("combobox", { name: "Search traces" });
  await search.fill("status:(error");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await search.blur();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(search).toHaveAttribute("aria-invalid", "true");
});

test("sorts, chooses columns, and loads more while scrolling", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await expect(rows(page).first()).toBeVisible();
  await page.getByRole("button", { name: "Latency" }).click();
  await expect(page).toHaveURL(/sort=-duration/);
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "Models" }).check();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("columnheader", { name: "Models" })).toBeVisible();
  const grid = page.getByRole("grid", { name: "Traces" });
  const before = Number(await grid.getAttribute("aria-rowcount"));
  await grid.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect.poll(async () => Number(await grid.getAttribute("aria-rowcount"))).toBeGreaterThan(before);
  expect(await page.locator("*").count()).toBeLessThan(3000);
});

test("the keys go through the list and into a trace and back", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await expect(rows(page).nth(2)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("tree", { name: "Steps of the trace" })).toBeVisible();
  await page.keyboard.press("j");
  await expect(page.getByText(/^4 of /)).toBeVisible();
  await page.keyboard.press("u");
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toContainText("Next trace");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("charts");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/charts/);
});

test("space shows a trace beside the list, and the keys go on with it", async ({ page }) => {
  await page.goto(at("/p/1/traces?q=metadata.corpus%3Atau"));
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("Space");
  const peek = page.getByRole("complementary", { name: "Peek" });
  await expect(peek.getByRole("treeitem").first()).toBeVisible();
  await expect(page).toHaveURL(/\/traces\?.*peek=/);
  const first = await peek.getByRole("heading").first().textContent();
  await page.keyboard.press("j");
  await expect(peek.getByRole("heading").first()).not.toHaveText(first);
  await expect(rows(page).nth(2)).toBeFocused();
  // Its steps open below; the list stays.
  await peek.getByRole("treeitem").nth(1).click();
  await expect(peek.getByRole("region", { name: "Step" }).getByRole("tabpanel")).toBeVisible();
  await expect(rows(page).nth(2)).toBeVisible();
  await peek.getByRole("button", { name: "Close the peek" }).click();
  await expect(peek).toHaveCount(0);
});

test("a view is saved, taken up again and deleted; what is shown is exported", async ({ page }) => {
  await page.goto(at("/p/1/traces?q=status%3Aerror&sort=-duration"));
  const menu = page.getByRole("button", { name: "Saved views" });
  await menu.click();
  await page.getByRole("button", { name: "Save what is shown now" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("the slow failures");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("View saved")).toBeVisible();
  await page.goto(at("/p/1/traces"));
  await menu.click();
  await page.getByRole("button", { name: "the slow failures", exact: true }).click();
  await expect(page).toHaveURL(/q=status%3Aerror.*sort=-duration|sort=-duration.*q=status%3Aerror/);
  await expect(rows(page).first()).toBeVisible();
  await menu.click();
  const link = page.getByRole("link", { name: /one a line/ });
  const exported = await page.request.get(at(await link.getAttribute("href")));
  const lines = (await exported.text()).trim().split("\n").length;
  // It may still say how many there were without the filter.
  await expect(headline(page)).toHaveText(lines.toLocaleString("en"));
  await page.getByRole("button", { name: "Delete the view the slow failures" }).click();
  await expect(page.getByRole("button", { name: "the slow failures", exact: true })).toHaveCount(0);
});

test("three that are chosen are compared, scored and exported", async ({ page }) => {
  await page.goto(at("/p/1/traces?q=metadata.corpus%3Atau"));
  await rows(page).nth(0).getByRole("checkbox").click();
  await rows(page).nth(2).getByRole("checkbox").click({ modifiers: ["Shift"] });
  await expect(page.getByText("3 chosen")).toBeVisible();
  await page.getByRole("button", { name: "Export" }).click();
  const link = page.getByRole("link", { name: /one a line/ });
  const exported = await page.request.get(at(await link.getAttribute("href")));
  expect((await exported.text()).trim().split("\n")).toHaveLength(3);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Compare" }).click();
  await expect(page.getByRole("heading", { name: "3 traces" })).toBeVisible();
  await expect(page.getByRole("columnheader", { name: "C", exact: true })).toBeVisible();
  await expect(page.locator(".diff li").first()).toBeVisible();
  await page.getByRole("combobox", { name: "A beside" }).selectOption({ label: "A beside C" });
  await expect(page.getByText(/only in C/)).toBeVisible();
  await page.goBack();
  await page.getByRole("checkbox", { name: "Choose all that are loaded" }).check();
  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await rows(page).nth(0).getByRole("checkbox").click();
  await page.getByRole("button", { name: "Score", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Score 1 trace" });
  await dialog.getByRole("textbox", { name: "Score" }).fill("bulk");
  await dialog.getByRole("textbox", { name: "Value" }).fill("kept");
  await dialog.getByRole("button", { name: "Score" }).click();
  await expect(page.getByText("1 trace scored")).toBeVisible();
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "Scores" }).check();
  await page.keyboard.press("Escape");
  await expect(rows(page).nth(0)).toContainText("bulk kept");
});

test("dragging over the histogram looks at that time", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  const strip = page.getByRole("img", { name: /runs over time/ });
  await expect(strip.locator(".histogram-bar").first()).toBeVisible();
  const box = await strip.boundingBox();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width, box.y + 20, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=.*to=/);
});

test("live: a new trace comes in by itself", async ({ page }) => {
  await page.goto(at("/p/1/traces?q=name%3Alive-*"));
  await expect(page.getByText("No trace passes")).toBeVisible();
  await page.getByRole("button", { name: "Live" }).click();
  await expect(page).toHaveURL(/live=1/);
  const now = Date.now();
  await send(url(), otlp("c".repeat(32), [{ id: "c".repeat(16), name: "live-one", from: now, to: now + 5 }]));
  await expect(rows(page)).toHaveCount(1);
});

test("live: a trace that came before the stream began is shown when it begins", async ({ page }) => {
  const now = Date.now();
  await page.route(/\/tail\?/, async (route) => {
    await send(url(), otlp("d".repeat(32), [{ id: "d".repeat(16), name: "early-one", from: now, to: now + 5 }]));
    await route.continue();
  });
  await page.goto(at("/p/1/traces?q=name%3Aearly-*"));
  await expect(page.getByText("No trace passes")).toBeVisible();
  await page.getByRole("button", { name: "Live" }).click();
  await expect(rows(page)).toHaveCount(1);
});
