import { describe, expect, it } from "vitest";
import { diff, diffTexts, likeness } from "./diff";

const told = (a: string, b: string) =>
  diffTexts(a, b)
    .map(({ kind, text }) => ({ same: text, added: `+${text}+`, removed: `-${text}-` })[kind])
    .join("");

describe("texts", () => {
  it("are told apart by words", () => {
    expect(told("a b c", "a b c")).toBe("a b c");
    expect(told("be brief.", "be very brief.")).toMatch(/^be( \+very \+|\+ very\+ )brief\.$/);
    expect(told("", "new")).toBe("+new+");
    expect(told("old", "")).toBe("-old-");
    expect(likeness(diffTexts("one two", "one two"))).toBe(1);
    expect(likeness(diffTexts("one", "two"))).toBe(0);
  });

  it("come out of their pieces, whatever they are", () => {
    let seed = 7;
    const next = (most: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % most;
    };
    for (let round = 0; round < 500; round++) {
      const list = () => Array.from({ length: next(14) }, () => next(4));
      const [a, b] = [list(), list()];
      const pieces = diff(a, b, (x, y) => x === y);
      const but = (kind: string) => pieces.filter((piece) => piece.kind !== kind).flatMap((piece) => piece.items);
      expect(but("added")).toEqual(a);
      expect(but("removed")).toEqual(b);
    }
  });

  it("that have nothing in common cost no more than what is told", () => {
    const a = Array.from({ length: 20_000 }, (_, at) => at);
    const pieces = diff(
      a,
      a.map((one) => -one - 1),
      (x, y) => x === y,
    );
    expect(pieces.map(({ kind, items }) => [kind, items.length])).toEqual([
      ["removed", 20_000],
      ["added", 20_000],
    ]);
  });
});
