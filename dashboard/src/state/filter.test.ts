import { describe, expect, it } from "vitest";
import { chosenOf, has, nameText, term, terms, toggled, toggledValue, typingAt, valueText, without, withTerm } from "./filter";

describe("terms", () => {
  it("cuts at white space outside of quotes and brackets", () => {
    const cut = (search: string) => terms(search).map((token) => token.text);
    expect(cut('status:error metadata.customer:"a b" {kind:tool status:error} -x')).toEqual([
      "status:error",
      'metadata.customer:"a b"',
      "{kind:tool status:error}",
      "-x",
    ]);
    expect(cut('a:(b, c) "d \\" e" f\\ g')).toEqual(["a:(b, c)", '"d \\" e"', "f\\ g"]);
    expect(cut("  ")).toEqual([]);
    expect(cut('"open')).toEqual(['"open']);
  });

  it("are written so that they are read as meant", () => {
    expect(term("status", "error")).toBe("status:error");
    expect(term("my key", 'say "x"')).toBe('"my key":"say \\"x\\""');
    expect(term("a", "5", true)).toBe('-a:"5"');
    expect(term("a", 5)).toBe("a:5");
    expect(term("a", "true")).toBe('a:"true"');
    expect(valueText("a*")).toBe('"a*"');
    expect(valueText("")).toBe('""');
    expect(nameText("or")).toBe('"or"');
    expect(nameText("has")).toBe('"has"');
  });

  it("name scores so that they are scores", () => {
    expect(term("scores.good", 0.5)).toBe("scores.good:0.5");
    expect(term("scores.or", "yes")).toBe("scores.or:yes");
    expect(term("scores.tone of voice", "calm", true)).toBe('-scores."tone of voice":calm');
    expect(nameText('scores.a"b')).toBe('scores."a\\"b"');
    expect(nameText("scores.")).toBe("scores.");
    const chosen = toggledValue("x", "scores.tone of voice", "calm");
    expect(chosen).toBe('x scores."tone of voice":calm');
    expect(chosenOf(chosen, "scores.tone of voice")).toEqual(["calm"]);
    expect(toggledValue(chosen, "scores.tone of voice", "calm")).toBe("x");
  });
});

describe("changes", () => {
  it("add, remove and turn round", () => {
    expect(withTerm("", "a:b")).toBe("a:b");
    expect(withTerm("a:b", "a:b")).toBe("a:b");
    expect(withTerm("x -a:b", "a:b")).toBe("x a:b");
    expect(withTerm("x or y", "a:b")).toBe("(x or y) a:b");
    expect(without("x a:b y", "a:b")).toBe("x y");
    expect(toggled(toggled("x", "a:b"), "a:b")).toBe("x");
    expect(has('a:"b c"', 'a:"b c"')).toBe(true);
  });
});

describe("typing", () => {
  it("knows keys from values, and where they begin", () => {
    expect(typingAt("sta", 3)).toMatchObject({ kind: "key", prefix: "sta", start: 0, end: 3 });
    expect(typingAt("x -sta y", 6)).toMatchObject({ kind: "key", prefix: "sta", start: 3, end: 6 });
    expect(typingAt("status:er", 9)).toMatchObject({ kind: "value", key: "status", prefix: "er", start: 7 });
    expect(typingAt("duration>=1", 11)).toMatchObject({ kind: "value", key: "duration", prefix: "1" });
    expect(typingAt("has:meta", 8)).toMatchObject({ kind: "key", prefix: "meta", start: 4 });
  });
});
