// What a model was told, shown as what it is, and what of it is new.
import { Buffer } from "node:buffer";
import { otlp, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const TRACE = "70a570a570a570a570a570a570a570a5";
const NOW = Date.UTC(2026, 1, 5, 10);
const id = (n) => n.toString(16).padStart(16, "0");
// One red point.
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==";

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
  return Buffer.concat([head, samples]).toString("base64");
}

test.beforeAll(async () => {
  const rules = (how) => ({ role: "system", content: `You are a travel agent.\nAnswer ${how}.\nAsk before you book.` });
  const question = {
    role: "user",
    content: [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${PICTURE}` } },
      { type: "input_audio", input_audio: { format: "wav", data: sound() } },
      { type: "image_url", image_url: { url: "http://198.51.100.7/elsewhere.png" } },
    ],
  };
  const answer = { role: "assistant", content: "A red point." };
  const call = (n, from, input, output) => ({
    id: id(n),
    parent: id(1),
    name: "chat",
    from: NOW + from,
    to: NOW + from + 100,
    attributes: {
      "openinference.span.kind": "LLM",
      "gen_ai.input.messages": JSON.stringify(input),
      "gen_ai.output.messages": JSON.stringify(output),
    },
  });
  const spans = [
    { id: id(1), name: "talk", from: NOW, to: NOW + 900 },
    call(2, 10, [rules("briefly"), question], [answer]),
    { id: id(3), parent: id(1), name: "look", from: NOW + 200, to: NOW + 300 },
    call(4, 400, [rules("at length"), question, answer, { role: "user", content: "And now?" }], [
      { role: "assistant", content: "Nothing new." },
    ]),
  ];
  await send(url(), otlp(TRACE, spans));
});

test("pictures and sound that are in the trace are shown; what is elsewhere is not asked for", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?tab=conversation`));
  const talk = page.getByRole("log", { name: "Conversation" });
  const picture = talk.getByRole("img");
  await expect(picture).toHaveCount(1);
  await expect.poll(() => picture.evaluate((element) => element.naturalWidth)).toBe(1);
  const player = talk.locator("audio");
  await expect.poll(() => player.evaluate((element) => element.duration)).toBeCloseTo(0.1);
  await expect(talk.getByText("198.51.100.7")).toBeVisible();
});

test("the conversation shows what of a message changed", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?tab=conversation`));
  const again = page.getByRole("article").filter({ hasText: "at length" });
  await again.getByRole("button", { name: /What changed/ }).click();
  await expect(again.locator("del")).toHaveText("briefly");
  await expect(again.locator("ins")).toHaveText("at length");
});

test("a call of a model tells what the call before was not told", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?span=${id(4)}`));
  const step = page.getByRole("complementary", { name: "Step" });
  await step.getByRole("tab", { name: "Changes" }).click();
  await expect(step.getByRole("article").filter({ hasText: "changed" }).locator("ins")).toHaveText("at length");
  await expect(step.getByRole("article").filter({ hasText: "And now?" })).toContainText("new");
  await step.getByRole("button", { name: /2 messages as before/ }).click();
  await expect(step).toContainText("What is this?");
  // The first call has none before it.
  await page.goto(at(`/p/1/traces/${TRACE}?span=${id(2)}`));
  await expect(step.getByRole("tab", { name: "Content" })).toBeVisible();
  await expect(step.getByRole("tab", { name: "Changes" })).toHaveCount(0);
});

test("the steps of a trace are a graph", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?tab=graph`));
  const graph = page.getByRole("img", { name: /Graph of 5 steps/ });
  await expect(graph).toContainText("chat");
  await expect(graph).toContainText("look");
});

test("a score and a comment are there for whoever comes next", async ({ page }) => {
  await page.goto(at(`/p/1/traces/${TRACE}?tab=feedback`));
  await page.getByRole("button", { name: "Good" }).click();
  await expect(page.getByRole("cell", { name: "quality" })).toBeVisible();
  await page.getByRole("textbox", { name: "A comment for everybody here" }).fill("Looks right to me");
  await page.getByRole("button", { name: "Comment", exact: true }).click();
  await page.reload();
  await expect(page.getByText("Looks right to me")).toBeVisible();
  await expect(page.getByText("You", { exact: true })).toBeVisible();
  const comments = await (await page.request.get(at(`/v1/projects/1/traces/${TRACE}/comments`))).json();
  expect(comments.data[0].author_name).toBe("Ada Lovelace");
  await page.keyboard.press("-");
  await expect(page.getByText("Scored the trace bad")).toBeVisible();
  await expect(page.getByRole("cell", { name: "quality" })).toHaveCount(2);
  await page.keyboard.press("m");
  await expect(page.getByRole("textbox", { name: "A comment for everybody here" })).toBeFocused();
  await expect(page.getByRole("row", { name: /quality 1 Ada Lovelace/ })).toBeVisible();
});
