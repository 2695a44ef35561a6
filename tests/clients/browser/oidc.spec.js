// Whoever has an account at a provider gets in by one click, and to nobody else's server.
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { begin, OWNER } from "./obsrv.js";

const SECRET = "a secret of this test";
const PERSON = { sub: "grace", email: "grace@example.org", email_verified: true, name: "Grace Hopper" };
const folder = mkdtempSync(path.join(tmpdir(), "obsrv-oidc-"));
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const asked = new Map();
let issuer;
let server;

function token(nonce) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { ...PERSON, iss: issuer, aud: "obsrv", iat: now, exp: now + 60, nonce };
  const signed = `${encoded({ alg: "RS256", kid: "one", typ: "JWT" })}.${encoded(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
}

// A provider whose only person is signed in there already.
const provider = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const json = (value) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
  if (url.pathname === "/authorize") {
    const code = String(asked.size + 1);
    asked.set(code, Object.fromEntries(url.searchParams));
    const back = new URL(url.searchParams.get("redirect_uri"));
    back.search = new URLSearchParams({ code, state: url.searchParams.get("state"), iss: issuer }).toString();
    return response.writeHead(302, { location: back.href }).end();
  }
  if (url.pathname === "/token") {
    let body = "";
    for await (const part of request) body += part;
    const form = new URLSearchParams(body);
    const { nonce, code_challenge } = asked.get(form.get("code"));
    const proof = createHash("sha256").update(form.get("code_verifier")).digest("base64url");
    if (proof !== code_challenge) return response.writeHead(400).end();
    return json({ access_token: "none", token_type: "Bearer", id_token: token(nonce) });
  }
  if (url.pathname === "/keys") return json({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }] });
  return json({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    code_challenge_methods_supported: ["S256"],
  });
});

test.beforeAll(async () => {
  await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${provider.address().port}`;
  const [secret, file] = ["secret", "providers.json"].map((name) => path.join(folder, name));
  writeFileSync(secret, SECRET);
  const entry = { id: "test", name: "The Test", issuer, client_id: "obsrv", client_secret_file: secret, domains: ["example.org"] };
  writeFileSync(file, JSON.stringify([entry]));
  for (const one of [secret, file]) chmodSync(one, 0o600);
  server = await begin((url) => ["--oidc-file", file, "--public-url", url]);
});

test.afterAll(async () => {
  await server?.end();
  provider.closeAllConnections();
  provider.close();
  rmSync(folder, { recursive: true });
});

test("signs in at a provider", async ({ page }) => {
  await page.goto(server.setupLink);
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Name").fill(OWNER.name);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Become the owner" }).click();
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("link", { name: "Continue with The Test" }).click();
  // Nobody has given her a project yet.
  await expect(page.getByRole("button", { name: /^Account of Grace Hopper/ })).toBeVisible();
  expect(asked.size).toBe(1);
});
