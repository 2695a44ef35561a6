import { KEY, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const RUNS = [
  ["control", "ada", 1],
  ["control", "bob", 0],
  ["short", "cyd", 1],
];

test("an experiment is made, its runs are told by arm, and it is changed and deleted", async ({ page }) => {
  await page.goto(at("/p/1/settings/experiments"));
  await page.getByRole("button", { name: "New experiment" }).click();
  const form = page.getByRole("dialog");
  await form.getByRole("textbox", { name: "Name", exact: true }).fill("Greeting");
  await form.getByRole("textbox", { name: "Id", exact: true }).fill("greeting-1");
  const percents = form.getByRole("spinbutton", { name: "Percent of users" });
  await percents.first().fill("70");
  // The percentages are refused by the server, which says why.
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form.getByRole("alert")).toContainText("add up to 100");
  await percents.last().fill("30");
  await form.getByRole("textbox", { name: "Id of the arm" }).last().fill("short");
  await form.getByRole("textbox", { name: "Prompt" }).last().fill("Be brief.");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Experiment saved")).toBeVisible();
  const headers = { "x-api-key": KEY };
  const asked = async () => (await fetch(`${url()}/v1/experiments/greeting-1`, { headers })).json();
  const made = await asked();
  expect([made.name, made.arms.map((arm) => [arm.id, arm.traffic_pct, arm.prompt_snapshot])]).toEqual([
    "Greeting",
    [["control", 70, null], ["short", 30, "Be brief."]],
  ]);

  for (const [n, [arm, user, good]] of RUNS.entries()) {
    await send(url(), {
      trace_id: `greeting-${n}`,
      name: "hello",
      user_id: user,
      status: good ? "success" : "error",
      started_at: "2026-03-01T00:00:00Z",
      ended_at: "2026-03-01T00:00:02Z",
      metadata: { experiment_id: "greeting-1", experiment_arm_id: arm },
      annotations: [{ label: "good", score: good }],
      steps: [],
    });
  }
  await page.reload();
  const card = page.getByRole("region", { name: "Greeting" });
  const cells = (arm) => card.getByRole("row", { name: new RegExp(`^${arm} `) }).getByRole("cell");
  await expect(cells("control")).toHaveText(["control 70%", "2", "2", "1", /2.* s/, "–", "–", "good 0.50"]);
  await expect(cells("short")).toHaveText(["short 30%", "1", "1", "0", /2.* s/, "–", "–", "good 1.00"]);
  await cells("control").getByRole("link").click();
  await expect(page.getByRole("grid", { name: "Traces" }).getByText("hello")).toHaveCount(2);

  await page.goBack();
  await card.getByRole("button", { name: "Edit" }).click();
  await form.getByRole("button", { name: "Take arm 1 out" }).click();
  await form.getByRole("spinbutton", { name: "Percent of users" }).fill("100");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(cells("control").first()).toHaveText("control taken out");
  await expect(cells("short").first()).toHaveText("short 100%");
  expect((await asked()).revision).toBe(2);
  await card.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("Experiment deleted")).toBeVisible();
  await expect(card).toHaveCount(0);
  expect((await asked()).error.code).toBe("not_found");
});
