import { at, expect, test } from "./page.js";
import { OWNER } from "./obsrv.js";

test.describe("somebody who is not signed in", () => {
  test.use({ storageState: { cookies: [], origins: [] } });

  test("signs in with a password and gets the page that was asked for", async ({ page }) => {
    await page.goto(at("/p/1/settings/keys"));
    await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
    await page.getByLabel("E-mail").fill(OWNER.email);
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toContainText(/wrong|password|sign/i);
    await page.getByLabel("Password").fill(OWNER.password);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: /Settings of/ })).toBeVisible();
    await page.getByRole("button", { name: /^Account of/ }).click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  });

  test("a used set-up link says that it is no good, and leaves no token in the address", async ({ page }) => {
    await page.goto(at("/setup#token=abc"));
    await page.getByLabel("E-mail").fill("eve@example.org");
    await page.getByLabel("Name").fill("Eve");
    await page.getByLabel("Password").fill("correct horse battery");
    await page.getByRole("button", { name: "Become the owner" }).click();
    await expect(page.getByRole("alert")).toBeVisible();
    expect(page.url()).not.toContain("token");
  });
});
