// From an empty project to its first trace: what the page says is done as it stands there.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PYTHON } from "./obsrv.js";
import { at, expect, test } from "./page.js";

const run = promisify(execFile);

test("what the page of an empty project says, done with the theta-obsrv package, makes it notice a trace", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await page.getByRole("button", { name: /^Project / }).click();
  await page.getByRole("button", { name: "New project" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("of theta");
  await page.getByRole("button", { name: "Make project" }).click();
  await expect(page.getByRole("heading", { name: "Send the first trace to of theta" })).toBeVisible();
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByRole("tab", { name: "theta-obsrv" }).click();
  const [install, code] = [0, 1].map((n) => page.locator(".card", { hasText: "2. Send" }).locator(".code pre").nth(n));
  await expect(install).toHaveText("pip install theta-obsrv");
  await expect(code).not.toContainText("YOUR_KEY");
  await expect(page.getByText("Waiting for the first trace")).toBeVisible();
  await run(PYTHON, ["-c", await code.textContent()], { timeout: 20_000 });
  await expect(page.getByText("It has arrived")).toBeVisible();
  await page.getByRole("link", { name: "Open the trace" }).click();
  await expect(page.getByRole("heading", { name: "hello obsrv" })).toBeVisible();
  const steps = page.getByRole("tree", { name: "Steps of the trace" });
  await expect(steps.getByRole("treeitem", { name: /plan/ })).toBeVisible();
  await page.keyboard.press("2");
  await expect(page.getByRole("log", { name: "Conversation" })).toContainText("How are you?");
});
