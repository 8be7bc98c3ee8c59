// The members of a bundle: their names, and their order.

import { compareText } from "./bytes.js";

/** Lines of members: those of one line come before those of the next, among themselves by name. */
const memberLines = [
  /^question\.json$/, /^answer\.json$/, /^policy\.txt$/, /^checkpoint$/, /^checkpoints\/\d{20}\.(note|proof)$/, /^governance\.bin$/,
  /^rows\.bin$/, /^rows\.hashes$/, /^streams\.bin$/, /^entries\/\d{6}\.bin$/, /^log\//, /^tree\.hashes$/, /^numbers\.bin$/,
  /^maps\/\d{20}\.yaml$/, /^data\/columns\.csv$/, /^data\/accesses-\d{3}\.csv$/, /^data\/accesses-\d{3}\.jsonl$/, /^data\/alerts\.csv$/,
  /^data\/approvals\.csv$/, /^data\/closes\.csv$/, /^data\/runs\.csv$/, /^README\.txt$/, /^report\.html$/,
];
const LINE_TILES = 10, LINE_HISTORY = 4, LINE_MAPS = 13, LINE_ENTRIES = 9, LINE_NUMBERS = 12;

/** The line of a member; -1: its name is none of a bundle's. */
export function memberLine(name) {
  const line = memberLines.findIndex((p) => p.test(name));
  if (line === LINE_TILES) return tileName(name) ? line : -1;
  if (line === LINE_HISTORY || line === LINE_MAPS) return BigInt(name.slice(name.indexOf("/") + 1, name.indexOf("."))) < 1n << 64n ? line : -1;
  return line;
}

/** Whether a member belongs to the answer of a question. */
export function hasPlace(name, question) {
  const line = memberLine(name), tiles = question.Range !== null || question.Log;
  if (line === LINE_TILES) return tiles;
  if (line === LINE_MAPS) return !tiles || question.Log;
  return !tiles || line < LINE_HISTORY || line > LINE_NUMBERS;
}

/** Whether a member is made from others, and so compared with what they make. */
export function isDerived(name) {
  return memberLine(name) >= LINE_MAPS;
}

export function isEntries(name) {
  return memberLine(name) === LINE_ENTRIES;
}

export function isHistory(name) {
  return memberLine(name) === LINE_HISTORY;
}

export function isTile(name) {
  return memberLine(name) === LINE_TILES;
}

/** Whether the member a stands before b. */
export function memberBefore(a, b) {
  const x = memberLine(a), y = memberLine(b);
  return x < y || (x === y && compareText(a, b) < 0);
}

/** Whether a name is one of a tlog-tiles directory, under log/. */
export function tileName(name) {
  if (name === "log/checkpoint") return true;
  const m = /^log\/tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(name);
  if (m === null || (m[3] !== undefined && Number(m[3]) > 255)) return false;
  const digits = m[2].replace(/[x/]/g, "");
  return digits.length === 3 || !digits.startsWith("000");
}
