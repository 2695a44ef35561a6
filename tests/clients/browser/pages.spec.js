import { otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

test("an empty project shows how to send, and notices the first trace", async ({ page }) => {
  await page.goto(at("/p/1/traces"));
  await page.getByRole("button", { name: /^Project / }).click();
  await page.getByRole("button", { name: "New project" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("fresh");
  await page.getByRole("button", { name: "Make project" }).click();
  await expect(page.getByRole("heading", { name: "Send the first trace to fresh" })).toBeVisible();
  await page.getByRole("button", { name: "Make a key" }).click();
  const made = page.locator(".card", { hasText: "1. A key" }).locator(".code pre");
  await expect(made).toBeVisible();
  const key = (await made.textContent()).trim();
  await expect(page.getByText("Waiting for the first trace")).toBeVisible();
  const now = Date.now();
  await send(url(), otlp("b".repeat(32), [{ id: "b".repeat(16), name: "hello obsrv", from: now, to: now + 5 }]), key);
  await expect(page.getByText("It has arrived")).toBeVisible();
  await page.getByRole("link", { name: "Open the trace" }).click();
  await expect(page.getByRole("heading", { name: "hello obsrv" })).toBeVisible();
});

test("a key is made, shown once and revoked", async ({ page }) => {
  await page.goto(at("/p/1/settings/keys"));
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("pipeline");
  await page.getByRole("button", { name: "Make the key" }).click();
  const made = page.getByRole("dialog", { name: "The new key" });
  const key = await made.locator("pre").first().textContent();
  await made.getByRole("tab", { name: "Langfuse" }).click();
  await expect(made.locator("pre").last()).toContainText(`LANGFUSE_SECRET_KEY=${key}`);
  await expect(made.locator("pre").last()).toContainText(`LANGFUSE_HOST=${url()}`);
  await page.getByRole("button", { name: "I have it" }).click();
  const row = page.getByRole("row", { name: /pipeline/ });
  await expect(row).toContainText("ingest");
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(row).toHaveCount(0);
});

test("somebody is invited, and the audit log says so", async ({ page }) => {
  await page.goto(at("/o/1/members"));
  await expect(page.getByText("you", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Invite" }).click();
  await page.getByLabel("E-mail").fill("bob@example.org");
  await page.getByRole("button", { name: "Make the link" }).click();
  await expect(page.getByRole("dialog").locator("pre")).toContainText("/join#token=");
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("bob@example.org")).toBeVisible();
  await page.getByRole("link", { name: "Audit log" }).click();
  await expect(page.getByRole("cell", { name: /invit/ }).first()).toBeVisible();
});

test("threads and users add up, and lead to their traces", async ({ page }) => {
  const now = Date.UTC(2026, 0, 6);
  for (const n of [1, 2]) {
    const attributes = { "session.id": "thread-of-the-test", "user.id": "user-of-the-test", "input.value": `question ${n}` };
    await send(url(), otlp(`${n}`.repeat(32), [{ id: `${n}`.repeat(16), name: "turn", from: now + n, to: now + n + 9, attributes }]));
  }
  await page.goto(at("/p/1/threads"));
  const row = page.getByRole("row", { name: /thread-of-the-test/ });
  await expect(row.getByRole("cell").nth(1)).toHaveText("2");
  await row.getByRole("link").click();
  await expect(page.getByRole("heading", { name: "thread-of-the-test" })).toBeVisible();
  await expect(page.locator(".turn")).toHaveCount(2);
  await page.goto(at("/p/1/users"));
  await page.getByRole("row", { name: /user-of-the-test/ }).getByRole("link").click();
  await expect(page.getByRole("heading", { name: "user-of-the-test" })).toBeVisible();
  await expect(page.getByRole("link", { name: "thread-of-the-test" })).toBeVisible();
  await page.getByRole("link", { name: "As a list" }).click();
  await expect(page).toHaveURL(/q=user_id%3Auser-of-the-test/);
});
