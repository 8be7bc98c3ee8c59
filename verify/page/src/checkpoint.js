// Checkpoints (c2sp.org/tlog-checkpoint) and files of hashes.

import { base64, unbase64 } from "./base64.js";
import { decimal, equal, text } from "./bytes.js";
import { Fault, saying } from "./errors.js";
import { checkOrigin, splitNote } from "./note.js";
import { EMPTY_ROOT } from "./sha256.js";

const HASH_TEXT = 44; // a hash in base64

export function formatCheckpoint(c) {
  return c.Origin + "\n" + c.Size + "\n" + base64(c.Root) + "\n";
}

/** Reads the text of a checkpoint strictly: {Origin, Size, Root}. */
export function parseCheckpoint(s) {
  const lines = s.split("\n");
  if (lines.length < 4) throw new Fault("checkpoint has under three lines");
  if (lines.length > 4 || lines[3] !== "") throw new Fault("checkpoint has lines after the root");
  saying("checkpoint", () => checkOrigin(lines[0]));
  let size;
  try {
    size = decimal(lines[1]);
  } catch (err) {
    throw new Fault("checkpoint size: " + err.message);
  }
  const c = { Origin: lines[0], Size: size, Root: parseHash(lines[2]) };
  if (size === 0n && !equal(c.Root, EMPTY_ROOT)) throw new Fault("checkpoint of size 0 with a root that is not the empty one");
  return c;
}

/** Reads the base64 of 32 bytes. */
function parseHash(s) {
  try {
    const h = unbase64(s);
    if (s.length === HASH_TEXT && h.length === 32) return h;
  } catch { /* said below */ }
  throw new Fault("hash " + JSON.stringify(s.slice(0, 60)) + " is malformed");
}

/** Reads a consistency proof: one base64 hash on each line, at most 64. */
export function parseHashes(b) {
  const n = b.length / (HASH_TEXT + 1);
  if (!Number.isInteger(n) || n > 64) throw new Fault("proof of " + b.length + " bytes, want at most 64 lines of 45");
  let s;
  try {
    s = text(b);
  } catch {
    throw new Fault("proof is not UTF-8");
  }
  const out = [];
  for (let i = 0; i < n; i++) {
    const line = s.slice(i * 45, i * 45 + 45);
    if (line[44] !== "\n") throw new Fault("proof line " + (i + 1) + " is malformed");
    out.push(parseHash(line.slice(0, 44)));
  }
  return out;
}

/** Reads a signed note as a checkpoint without checking a signature. */
export function openUnverified(note) {
  return parseCheckpoint(text(splitNote(note).text));
}
