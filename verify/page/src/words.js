// The words by which files and people call the values of enums.

import { SCHEMA } from "./data.js";

/** Such as word("Tier", 1) = "production"; "" for 0, digits for a value that is not known. */
export function word(enumName, n) {
  return n === 0 ? "" : SCHEMA.enums[enumName][n] ?? String(n);
}

/** The number of a word; 0: there is no such word. */
export function enumNumber(enumName, name) {
  return name === "" ? 0 : Math.max(0, SCHEMA.enums[enumName].indexOf(name));
}

/** Kinds of entries by their words: KIND["access"]. */
export const KIND = Object.freeze(Object.fromEntries(SCHEMA.enums.Kind.map((name, n) => [name || "unspecified", n])));

/** Verdicts by their words: VERDICT["not-approved"]. */
export const VERDICT = Object.freeze(Object.fromEntries(SCHEMA.enums.Verdict.map((name, n) => [name || "unspecified", n])));
