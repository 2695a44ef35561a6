// Writing and changing searches in the filter language (GRAMMAR.md of the engine). Parsing is the
// server's: here is only what adding, removing and completing a term needs.

const PLAIN_NAME = /^[\p{L}\p{N}_$@/-][\p{L}\p{N}_.$@/-]*$/u;
const PLAIN_VALUE = /^[\p{L}\p{N}_./@$%+-]+$/u;

function quoted(text: string): string {
  const escaped = text
    .replace(/\\/g, "\\\\")
    .replace(/"/g, '\\"')
    .replace(/\n/g, "\\n")
    .replace(/\t/g, "\\t")
    .replace(/\r/g, "\\r");
  return `"${escaped}"`;
}

const SCORES = "scores.";

// Whether a key of a trace or a step is a score: there are values to filter by, and none to group or to sum.
export function isScore(key: string): boolean {
  return key.startsWith(SCORES);
}

export function scoreKey(name: string): string {
  return SCORES + name;
}

// In quotes all of it would be a key of the row itself.
function scoreText(name: string): string {
  return SCORES + (PLAIN_NAME.test(name) ? name : quoted(name));
}

export function nameText(name: string): string {
  if (isScore(name) && name !== SCORES) {
    return scoreText(name.slice(SCORES.length));
  }
  const isPlain = PLAIN_NAME.test(name) && !/^-|^(and|or|not|has)$/i.test(name);
  return isPlain ? name : quoted(name);
}

// A text that would read as a number or a bool is quoted; only then is it a text.
export function valueText(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  const text = String(value);
  const readsAsOther = /^-?[\d.]|^(true|false|null|and|or|not)$/i.test(text);
  return PLAIN_VALUE.test(text) && !readsAsOther ? text : quoted(text);
}

export function term(name: string, value: unknown, exclude = false): string {
  return `${exclude ? "-" : ""}${nameText(name)}:${valueText(value)}`;
}

export interface Token {
  text: string;
  start: number;
  end: number;
}

// Cuts a search at white space outside of quotes and brackets.
export function terms(search: string): Token[] {
  const found: Token[] = [];
  let start = -1;
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at <= search.length; at++) {
    const sign = search[at] ?? " ";
    const isLast = at === search.length;
    if (isQuoted && !isLast) {
      if (sign === "\\") {
        at++;
      } else if (sign === '"') {
        isQuoted = false;
      }
      continue;
    }
    if (sign === '"') {
      isQuoted = true;
    } else if (sign === "(" || sign === "{") {
      depth++;
    } else if (sign === ")" || sign === "}") {
      depth = Math.max(0, depth - 1);
    } else if (sign === "\\") {
      if (start < 0) {
        start = at;
      }
      at++;
      continue;
    }
    if (isLast || (depth === 0 && /\s/.test(sign))) {
      if (start >= 0) {
        const end = Math.min(at, search.length);
        found.push({ text: search.slice(start, end), start, end });
        start = -1;
      }
    } else if (start < 0) {
      start = at;
    }
  }
  return found;
}

export function has(search: string, one: string): boolean {
  return terms(search).some((token) => token.text === one);
}

export function without(search: string, one: string): string {
  return terms(search)
    .filter((token) => token.text !== one)
    .map((token) => token.text)
    .join(" ");
}

// Adds a term; what says the opposite goes.
export function withTerm(search: string, one: string): string {
  const opposite = one.startsWith("-") ? one.slice(1) : `-${one}`;
  const rest = without(search, opposite);
  if (has(rest, one)) {
    return rest;
  }
  const parts = terms(rest);
  const needsBrackets = parts.some((token) => /^or$/i.test(token.text));
  const before = needsBrackets ? `(${rest.trim()})` : rest.trim();
  return before ? `${before} ${one}` : one;
}

export function toggled(search: string, one: string): string {
  return has(search, one) ? without(search, one) : withTerm(search, one);
}

// The term of a search that says which values of a key are wanted.
export function own(search: string, key: string) {
  const start = `${nameText(key)}:`;
  return terms(search).find((token) => token.text.startsWith(start))?.text;
}

export function chosenOf(search: string, key: string): string[] {
  const text = own(search, key)?.slice(nameText(key).length + 1);
  if (!text) {
    return [];
  }
  return text.startsWith("(")
    ? text
        .slice(1, -1)
        .split(",")
        .map((one) => one.trim())
    : [text];
}

export function toggledValue(search: string, key: string, value: unknown): string {
  const chosen = chosenOf(search, key);
  const wanted = valueText(value);
  const next = chosen.includes(wanted) ? chosen.filter((one) => one !== wanted) : [...chosen, wanted];
  const before = own(search, key);
  const rest = before ? without(search, before) : search;
  if (next.length === 0) {
    return rest;
  }
  return withTerm(rest, `${nameText(key)}:${next.length > 1 ? `(${next.join(",")})` : next[0]}`);
}

// What is being typed at a place: a key, or a value of a key.
export interface Typing {
  kind: "key" | "value";
  key: string;
  prefix: string;
  start: number;
  end: number;
}

export function typingAt(search: string, cursor: number): Typing {
  let start = cursor;
  while (start > 0 && !/[\s(){},]/.test(search[start - 1] ?? "")) {
    start--;
  }
  if (search[start] === "-") {
    start++;
  }
  let end = cursor;
  while (end < search.length && !/[\s(){},]/.test(search[end] ?? "")) {
    end++;
  }
  const word = search.slice(start, cursor);
  const split = /^([^:=<>!~"]+)(:|=|!=|>=?|<=?)(.*)$/.exec(word);
  if (split) {
    const [, key = "", operator = "", value = ""] = split;
    if (key === "has") {
      return { kind: "key", key: "", prefix: value, start: start + 4, end };
    }
    const from = start + key.length + operator.length;
    return { kind: "value", key, prefix: value.replace(/^"/, ""), start: from, end };
  }
  return { kind: "key", key: "", prefix: word, start, end };
}
