// Code with numbered lines and its words told apart. Which language it is, is not asked: what most of them
// share is enough to read it.
import { Fragment, useMemo } from "react";

const LINES_MAX = 2000;
// In a longer text words are not told apart.
const TOLD_APART_MAX = 40_000;

const WORDS =
  "and|as|async|await|break|case|catch|class|const|continue|def|del|do|elif|else|enum|except|export|extends|finally|fn|for|from|func|function|go|if|impl|import|in|interface|is|lambda|let|match|mod|module|mut|namespace|new|not|or|package|pass|private|protected|pub|public|raise|return|self|static|struct|super|switch|this|throw|trait|try|type|use|using|var|void|where|while|with|yield|SELECT|FROM|WHERE|GROUP|ORDER|BY|INSERT|INTO|VALUES|UPDATE|DELETE|CREATE|TABLE|JOIN|LEFT|INNER|ON|AND|OR|NOT|NULL|LIMIT|AS|SET|true|false|null|None|True|False|nil|undefined";
const TOKEN = new RegExp(
  [
    String.raw`(?<note>\/\/[^\n]*|(?<=^|\s)#(?!\[)[^\n]*|(?<=^|\s)-- [^\n]*|\/\*(?:[^]*?\*\/|[^]*))`,
    String.raw`(?<text>"""(?:[^]*?"""|[^]*)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|${"`"}(?:[^${"`"}\\]|\\.){0,2000}${"`"})`,
    String.raw`(?<word>\b(?:${WORDS})\b)`,
    String.raw`(?<number>\b\d[\w.]*)`,
  ].join("|"),
  "gm",
);

export interface Piece {
  kind: "note" | "text" | "word" | "number" | null;
  text: string;
}

export function piecesOf(code: string): Piece[] {
  if (code.length > TOLD_APART_MAX) {
    return [{ kind: null, text: code }];
  }
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of code.matchAll(TOKEN)) {
    if (found.index > from) {
      pieces.push({ kind: null, text: code.slice(from, found.index) });
    }
    const [kind] = Object.entries(found.groups ?? {}).find(([, text]) => text !== undefined) ?? [null];
    pieces.push({ kind: kind as Piece["kind"], text: found[0] });
    from = found.index + found[0].length;
  }
  if (from < code.length) {
    pieces.push({ kind: null, text: code.slice(from) });
  }
  return pieces;
}

// The same, cut where lines end.
export function linesOf(code: string): Piece[][] {
  const lines: Piece[][] = [[]];
  for (const { kind, text } of piecesOf(code)) {
    text.split("\n").forEach((part, at) => {
      if (at > 0) {
        lines.push([]);
      }
      if (part) {
        lines.at(-1)?.push({ kind, text: part });
      }
    });
  }
  return lines;
}

// Most lines of prose begin and end otherwise.
export function looksLikeCode(text: string): boolean {
  const lines = text.split("\n").filter((line) => line.trim()).slice(0, 60);
  if (lines.length < 3) {
    return false;
  }
  const begins = /^\s*(import |from \w+ import|#include|def \w+\(|class \w+|function |const |let |var |fn |pub |use \w+::|package |public |private |async |return\b|if \(|for \(|while \(|@\w+|SELECT\b|FROM\b|WHERE\b|CREATE |INSERT )/;
  const ends = /[;{}]\s*$|\):\s*$|=>\s*$|\($|,$/;
  const like = lines.filter((line) => begins.test(line) || ends.test(line)).length;
  return lines.some((line) => begins.test(line)) && like >= lines.length * 0.4;
}

export function CodeLines({ text }: { text: string }) {
  const lines = useMemo(() => linesOf(text.replace(/\n$/, "")), [text]);
  return (
    <div className="code-lines" tabIndex={0} role="group" aria-label="Code">
      {lines.slice(0, LINES_MAX).map((pieces, at) => (
        <code key={at} className="code-line">
          {pieces.map(({ kind, text }, place) =>
            kind === null ? (
              <Fragment key={place}>{text}</Fragment>
            ) : (
              <span key={place} className={`code-${kind}`}>
                {text}
              </span>
            ),
          )}
          {"\n"}
        </code>
      ))}
      {lines.length > LINES_MAX && <p className="soft">and {lines.length - LINES_MAX} further lines</p>}
    </div>
  );
}
