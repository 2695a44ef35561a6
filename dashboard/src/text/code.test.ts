import { describe, expect, it } from "vitest";
import { linesOf, looksLikeCode, piecesOf } from "./code";

const PYTHON = 'import os\n\ndef run(n):\n    # twice\n    return "a\\"b" * 2\n';
const RUST = "use std::fs;\n\nfn main() {\n    let x = 1;\n    println!(\"{x}\");\n}";
const PROSE = "Dear Ada,\n\nthe order for the books has come.\nI return it if you want.\n\nYours, Bob";

describe("code", () => {
  it("loses no sign, whatever it is", () => {
    for (const text of [PYTHON, RUST, PROSE, "", "'", '"""', "/* open", "a # b\n#c", "`${`"]) {
      expect(piecesOf(text).map((piece) => piece.text).join("")).toBe(text);
      expect(linesOf(text).map((line) => line.map((piece) => piece.text).join("")).join("\n")).toBe(text);
    }
    const kinds = piecesOf(PYTHON).flatMap(({ kind, text }) => (kind ? [[kind, text]] : []));
    expect(kinds).toEqual([
      ["word", "import"],
      ["word", "def"],
      ["note", "# twice"],
      ["word", "return"],
      ["text", '"a\\"b"'],
      ["number", "2"],
    ]);
  });

  it("is read in no time, whatever is opened and never closed", () => {
    for (const text of ["/*", '"""', "`", '"', "'"].map((open) => open.repeat(20_000))) {
      const begun = performance.now();
      piecesOf(text.slice(0, 40_000));
      expect(performance.now() - begun).toBeLessThan(2000);
    }
  });

  it("is told from prose", () => {
    expect(looksLikeCode(PYTHON)).toBe(true);
    expect(looksLikeCode(RUST)).toBe(true);
    expect(looksLikeCode(PROSE)).toBe(false);
    expect(looksLikeCode("one line;")).toBe(false);
  });
});
