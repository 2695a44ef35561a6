// What the tests of a file have read back equal, field by field of the model, against what `../conformance.json` declares.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after } from "node:test";

const declared = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url))).node;
const found = {};

/** Called by a test once it has compared these fields. */
export const readBack = (dialect, ...fields) => {
  for (const field of fields) (found[dialect] ??= new Set()).add(field);
};

/** Holds the declared fields of these dialects, but for those that other files compare, once the tests of the file are over. */
export function hold(dialects, elsewhere = []) {
  after(() => {
    for (const dialect of dialects) {
      const expected = declared[dialect].equal.filter((field) => !elsewhere.includes(field));
      assert.deepEqual([...(found[dialect] ?? [])].sort(), expected.sort(), dialect);
    }
  });
}
