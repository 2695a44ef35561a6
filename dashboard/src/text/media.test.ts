import { describe, expect, it } from "vitest";
import { type Attachment, isOnlyMeant, meantIn } from "./attached";
import { mediaIn, mediaOf, mediaOfText } from "./media";

const DATA = "AAAAAAAAAAAAAAAAAAAA";

describe("media", () => {
  it("is found as the providers write it", () => {
    for (const [part, source] of [
      [{ image_url: { url: `data:image/png;base64,${DATA}` } }, "data:image/png;base64,"],
      [{ image_url: `data:image/webp;base64,${DATA}` }, "data:image/webp;base64,"],
      [{ source: { type: "base64", media_type: "image/jpeg", data: DATA } }, "data:image/jpeg;base64,"],
      [{ inline_data: { mime_type: "video/mp4", data: DATA } }, "data:video/mp4;base64,"],
      [{ input_audio: { format: "wav", data: DATA } }, "data:audio/wav;base64,"],
      [{ type: "blob", mime_type: "audio/ogg", content: DATA }, "data:audio/ogg;base64,"],
      [{ file: { file_data: `data:audio/mpeg;base64,${DATA}` } }, "data:audio/mpeg;base64,"],
    ] as const) {
      expect(mediaOf(part)?.source).toBe(source + DATA);
    }
    expect(mediaIn({ a: [{ b: `data:image/gif;base64,${DATA}` }], c: { format: "mp3", data: DATA } })).toHaveLength(2);
  });

  it("is a file of the trace where it was cut out of a value", () => {
    const sha256 = "ab".repeat(32);
    const file = { id: "f", sha256, upload: null } as Attachment;
    const url = `data:image/png;base64,obsrv-media:${"0".repeat(32)}:0:${sha256}`;
    expect(mediaOf({ image_url: { url } })).toBe(null);
    expect(mediaOf({ mime_type: "image/png", data: url.slice(22) })).toBe(null);
    for (const text of [url, url.slice(22)]) {
      expect(meantIn({ image_url: { url: text } }, [file])).toEqual([file]);
      expect(isOnlyMeant(text)).toBe(true);
    }
    expect(meantIn(url.replace(/ab/g, "cd"), [file])).toEqual([]);
    expect(isOnlyMeant(`see ${url}`)).toBe(false);
  });

  it("is nothing that may hold a script, and nothing that is elsewhere", () => {
    for (const text of [
      `data:image/svg+xml;base64,${DATA}`,
      `data:text/html;base64,${DATA}`,
      "data:image/png,plain",
      "https://example.org/x.png",
      "javascript:1",
      "",
    ]) {
      expect(mediaOfText(text)).toBe(null);
      expect(mediaOf({ image_url: { url: text }, url: text, text })).toBe(null);
    }
    expect(mediaOf({ format: "svg+xml", data: DATA })).toBe(null);
    expect(mediaOf({ mime_type: "image/png", data: "<svg onload=1>  not base64" })).toBe(null);
  });
});
