import { at, expect, test } from "./page.js";

test("what the page loads is compressed and kept for ever; the page itself is asked for again", async ({ request }) => {
  const page = await request.get(at("/p/1/traces"));
  expect(page.headers()["cache-control"]).toBe("no-cache");
  expect(page.headers()["content-security-policy"]).toContain("default-src 'none'");
  expect(page.headers()["content-encoding"]).toBe("br");
  const files = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]);
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    const answer = await request.get(at(file));
    expect(answer.status()).toBe(200);
    expect(answer.headers()["cache-control"]).toContain("immutable");
    expect(answer.headers()["content-encoding"]).toBe("br");
    expect(answer.headers()["x-content-type-options"]).toBe("nosniff");
  }
});

test("no address of the API is a page, and no unknown address is one", async ({ request }) => {
  const document = await (await request.get(at("/openapi.json"))).json();
  const reads = Object.entries(document.paths).filter(([path, methods]) => methods.get && path.startsWith("/v1/"));
  expect(reads.length).toBeGreaterThan(20);
  // A live tail answers for as long as somebody watches.
  for (const [path] of reads.filter(([path]) => !path.endsWith("/tail"))) {
    const answer = await request.get(at(path.replace(/\{[^}]+\}/g, "1")), { maxRedirects: 0 });
    expect(answer.headers()["content-type"] ?? "", path).not.toContain("text/html");
  }
  for (const path of ["/nothing", "/v1/nothing", "/assets/nothing.js", "/p/1/traces/x/y/z"]) {
    expect((await request.get(at(path))).status(), path).toBe(404);
  }
});
