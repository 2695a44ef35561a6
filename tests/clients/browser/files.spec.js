// Files that were sent beside a trace: shown as what their bytes are, and never run.
import { Buffer } from "node:buffer";
import { KEY, otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const TRACE = "f11ef11ef11ef11ef11ef11ef11ef11e";
const STEP = "00000000000000f2";
const NOW = Date.UTC(2026, 1, 6, 10);
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==",
  "base64",
);
const BAD_NAME = `"><img src=x onerror="window.__ran=1">.svg`;

function sound() {
  const samples = Buffer.alloc(1600);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

async function attach(name, type, body, more = {}) {
  const asked = new URLSearchParams({ name, ...more });
  const answer = await fetch(`${url()}/v1/projects/1/traces/${TRACE}/blobs?${asked}`, {
    method: "POST",
    headers: { "x-api-key": KEY, "content-type": type },
    body,
  });
  expect(answer.status, await answer.clone().text()).toBe(201);
  return await answer.json();
}

// As the theta client does: asks for a place, writes its name into the trace, and sends the bytes there.
async function attachByLink(filename, type, body) {
  const asked = await fetch(`${url()}/v1/media/signed-url`, {
    method: "POST",
    headers: { "x-api-key": KEY, "content-type": "application/json" },
    body: JSON.stringify({ content_type: type, filename, trace_id: TRACE }),
  });
  const place = await asked.json();
  const sent = await fetch(new URL(place.url, url()), { method: "PUT", headers: place.headers, body });
  expect(sent.status, await sent.clone().text()).toBe(200);
  return place.gs_uri;
}

test.beforeAll(async () => {
  await send(url(), otlp(TRACE, [{ id: "00000000000000f1", name: "look at it", from: NOW, to: NOW + 900 }]));
  const picture = await attach("receipt.png", "image/png", PICTURE);
  await attach("answer.wav", "audio/wav", sound(), { span_id: STEP });
  await attach("minutes.txt", "text/plain", Buffer.from("nothing was said"), { span_id: STEP });
  await attach(BAD_NAME, "image/svg+xml", Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" onload="window.__ran=1"/>`));
  await attach("page.html", "text/html", Buffer.from("<script>window.__ran=1</script>"));
  const said = [{ role: "user", content: [{ type: "text", text: `What does @@@langfuseMedia:type=image/png|id=${picture.id}|source=file@@@ say?` }] }];
  said.push({ role: "user", content: await attachByLink("second.png", "image/png", Buffer.concat([PICTURE, Buffer.from("2")])) });
  const attributes = {
    "openinference.span.kind": "LLM",
    "gen_ai.input.messages": JSON.stringify(said),
    "gen_ai.output.messages": JSON.stringify([{ role: "assistant", content: "It is red." }]),
  };
  await send(url(), otlp(TRACE, [{ id: STEP, parent: "00000000000000f1", name: "chat", from: NOW + 5, to: NOW + 800, attributes }]));
});

test("files stand with the trace, with their step, and in what was said", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?tab=conversation`));
  const talk = page.getByRole("log", { name: "Conversation" });
  const question = talk.getByRole("article").filter({ hasText: "What does" });
  const picture = question.getByRole("img", { name: "receipt.png" });
  await expect.poll(() => picture.evaluate((element) => element.naturalWidth)).toBe(1);
  const answer = talk.getByRole("article").filter({ hasText: "It is red." });
  await expect.poll(() => answer.locator("audio").evaluate((element) => element.duration)).toBeCloseTo(0.1);
  await expect(answer.getByText("minutes.txt")).toBeVisible();
  await expect(talk.getByText("page.html", { exact: true })).toBeVisible();
  await expect(talk.getByRole("img", { name: "second.png" })).toHaveCount(1);
  await page.keyboard.press("6");
  const all = page.locator(".file");
  await expect(page.getByRole("tab", { name: "Attachments 6" })).toHaveAttribute("aria-selected", "true");
  await expect(all).toHaveCount(6);
  // What is not known to be harmless is a name and a button to save it.
  const bad = all.filter({ hasText: "onerror" });
  await expect(bad.locator("img, audio, video, object, embed, iframe")).toHaveCount(0);
  const waiting = page.waitForEvent("download");
  await all.filter({ hasText: "page.html" }).getByRole("link", { name: "Save page.html" }).click();
  expect((await waiting).suggestedFilename()).toBe("page.html");
  await page.goto(at(`/p/1/traces/${TRACE}?span=${STEP}`));
  const step = page.getByRole("complementary", { name: "Step" });
  await expect(step.locator(".file")).toHaveCount(4);
  expect(await page.evaluate(() => window.__ran)).toBeUndefined();
});

// Of more than 64 KiB as base64, in a message in OpenAI's words: obsrv keeps it as a file of the trace.
test("a picture that came inside of a message is shown, and not sent as text", async ({ page }) => {
  const trace = "f11ef11ef11ef11ef11ef11ef11ef220";
  const step = "00000000000000f3";
  const large = Buffer.concat([PICTURE, Buffer.alloc(60_000, "behind the picture")]);
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${large.toString("base64")}` } };
  const attributes = {
    "openinference.span.kind": "LLM",
    "gen_ai.input.messages": JSON.stringify([{ role: "user", content: [{ type: "text", text: "What is this?" }, image] }]),
    "gen_ai.output.messages": JSON.stringify([{ role: "assistant", content: "A red dot." }]),
  };
  await send(url(), otlp(trace, [{ id: step, name: "chat", from: NOW, to: NOW + 800, attributes }]));
  const answers = [];
  page.on("response", async (answer) => {
    if (answer.url().includes(`/spans/${step}`) || answer.url().includes("/conversation")) {
      answers.push((await answer.body()).length);
    }
  });
  await page.goto(at(`/p/1/traces/${trace}?span=${step}`));
  const said = page.getByRole("complementary", { name: "Step" });
  const question = said.getByRole("article").filter({ hasText: "What is this?" });
  const picture = question.locator(".file img");
  await expect.poll(() => picture.evaluate((element) => element.naturalWidth)).toBe(1);
  expect(await picture.getAttribute("src")).toContain(`/traces/${trace}/blobs/`);
  await expect(question.getByText("obsrv-media")).toHaveCount(0);
  await expect(question.getByText(/image\/png\s+60 kB/)).toHaveCount(1);
  await said.getByRole("tab", { name: "Raw" }).click();
  await expect(said.getByText("offloaded")).toBeVisible();
  await page.goto(at(`/p/1/traces/${trace}?tab=conversation`));
  const talk = page.getByRole("log", { name: "Conversation" });
  await expect.poll(() => talk.locator(".file img").evaluate((element) => element.naturalWidth)).toBe(1);
  expect(answers.length).toBeGreaterThan(1);
  expect(Math.max(...answers)).toBeLessThan(20_000);
});
