// Sign-in at a provider that is not of this project: oidc-provider on loopback, as a browser goes through it.
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import Provider from "oidc-provider";

import { freePort, Obsrv } from "./server.js";

const SECRET = "a+secret/of=this:test";
const PEOPLE = {
  ada: { email: "ada@example.org", email_verified: true, name: "Ada" },
  eve: { email: "eve@elsewhere.example", email_verified: true, name: "Eve" },
  mallory: { email: "mallory@example.org", email_verified: false, name: "Mallory" },
};

let provider;
let issuer;
let obsrv;
let folder;
// Who sits at the browser.
let person;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "obsrv-oidc-"));
  const port = await freePort();
  const own = await freePort();
  issuer = `http://127.0.0.1:${port}`;
  const callback = `http://127.0.0.1:${own}/v1/auth/oidc/test/callback`;
  const idp = new Provider(issuer, {
    clients: [{ client_id: "obsrv", client_secret: SECRET, redirect_uris: [callback] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    cookies: { keys: ["of this test"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  });
  const pages = idp.callback();
  provider = createServer((request, response) =>
    request.url.startsWith("/interaction/") ? agree(idp, request, response) : pages(request, response),
  );
  await new Promise((resolve) => provider.listen(port, "127.0.0.1", resolve));
  const secret = path.join(folder, "secret");
  await writeFile(secret, SECRET);
  await chmod(secret, 0o600);
  const file = path.join(folder, "providers.json");
  const entry = { id: "test", name: "Test", issuer, client_id: "obsrv", client_secret_file: secret, domains: ["example.org"] };
  await writeFile(file, JSON.stringify([entry]));
  await chmod(file, 0o600);
  obsrv = await Obsrv.start({ port: own, flags: ["--oidc-file", file, "--public-url", `http://127.0.0.1:${own}`] });
});

after(async () => {
  await obsrv?.end();
  provider?.closeAllConnections();
  await new Promise((resolve) => (provider ? provider.close(resolve) : resolve()));
  await rm(folder, { recursive: true });
});

// The provider's own pages: the person signs in and agrees to everything.
async function agree(idp, request, response) {
  const { prompt, params } = await idp.interactionDetails(request, response);
  if (prompt.name === "login") {
    return idp.interactionFinished(request, response, { login: { accountId: person } });
  }
  const grant = new idp.Grant({ accountId: person, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return idp.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

// A browser with cookies that follows redirects until it is back at obsrv with no further one to follow.
class Browser {
  jar = new Map();
  seen = [];

  async open(url) {
    for (let hops = 0; hops < 12; hops += 1) {
      this.seen.push(url);
      const { host } = new URL(url);
      const cookie = [...(this.jar.get(host) ?? new Map())].map(([name, value]) => `${name}=${value}`).join("; ");
      const answer = await fetch(url, { redirect: "manual", headers: cookie ? { cookie } : {} });
      for (const line of answer.headers.getSetCookie()) {
        const [pair] = line.split(";");
        const at = pair.indexOf("=");
        const ofHost = this.jar.get(host) ?? new Map();
        ofHost.set(pair.slice(0, at), pair.slice(at + 1));
        this.jar.set(host, ofHost);
      }
      const next = answer.headers.get("location");
      if (answer.status < 300 || answer.status > 399 || !next) return answer;
      url = new URL(next, url).href;
      if (url.startsWith(obsrv.url) && !new URL(url).pathname.startsWith("/v1/auth/oidc/")) return { landed: url, answer };
    }
    throw new Error(`no end: ${this.seen.join("\n")}`);
  }

  ask(where) {
    const ofHost = this.jar.get(new URL(obsrv.url).host) ?? new Map();
    const cookie = [...ofHost].map(([name, value]) => `${name}=${value}`).join("; ");
    return fetch(obsrv.url + where, { headers: { cookie } });
  }
}

const start = () => `${obsrv.url}/v1/auth/oidc/test/start`;

test("somebody of the domain signs in at the provider and is known by issuer and subject", async () => {
  person = "ada";
  const browser = new Browser();
  const { landed } = await browser.open(start());
  assert.equal(new URL(landed).pathname, "/");
  const me = await (await browser.ask("/v1/auth/me")).json();
  assert.equal(me.email, "ada@example.org");
  assert.equal(me.method, "oidc");
  assert.equal(me.issuer, issuer);
  const again = new Browser();
  await again.open(start());
  const same = await (await again.ask("/v1/auth/me")).json();
  assert.equal(same.user_id, me.user_id);
  assert.notEqual(same.session_id, me.session_id);
});

for (const stranger of ["eve", "mallory"]) {
  test(`${stranger} is not let in`, async () => {
    person = stranger;
    const browser = new Browser();
    await browser.open(start());
    const back = browser.seen.find((url) => url.includes("/callback?"));
    assert.ok(back, "the provider sent the browser back");
    assert.equal((await browser.ask("/v1/auth/me")).status, 401);
  });
}

test("a code works once, and only for the browser that began", async () => {
  person = "ada";
  const browser = new Browser();
  await browser.open(start());
  const back = browser.seen.find((url) => url.includes("/callback?"));
  const other = new Browser();
  await other.open(back);
  assert.equal((await other.ask("/v1/auth/me")).status, 401);
  await browser.open(back);
  const refused = new Browser();
  await refused.open(back.replace(/code=[^&]+/, "code=made-up"));
  assert.equal((await refused.ask("/v1/auth/me")).status, 401);
});
