import { describe, expect, it } from "vitest";
import { COMPARED_MAX, idsIn, idsText } from "./ids";

describe("ids in an address", () => {
  it("come back as they were, each once, and not too many", () => {
    const ids = ["a,b", "50%", "", "a,b", "ü/ /?"];
    expect(idsIn(idsText(ids))).toEqual(["a,b", "50%", "ü/ /?"]);
    expect(idsIn("%zz")).toEqual(["%zz"]);
    const many = Array.from({ length: COMPARED_MAX + 1 }, (_, n) => String(n));
    expect(idsIn(idsText(many))).toHaveLength(COMPARED_MAX);
  });
});
