// Signed notes (c2sp.org/signed-note) and the keys that sign them.

import { bigOf, concat, lastIndexOf, readU32, readU64, text, u32be, u64be, utf8, MAX_SIZE, hex } from "./bytes.js";
import { unbase64 } from "./base64.js";
import { Fault } from "./errors.js";
import { ed25519Verify } from "./ed25519.js";
import { mldsa44CheckKey, mldsa44Verify } from "./mldsa.js";
import { sha256 } from "./sha256.js";

export const KEY_ED25519 = 1;
export const KEY_COSIGNATURE = 4;
const KEY_MLDSA = 6;
const MAX_NOTE = 1 << 20, MAX_NOTE_SIGNATURES = 100, MAX_NAME = 255;
const whiteSpace = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Whether a key name is one of signed-note's. */
function validName(name) {
  return name !== "" && !whiteSpace.test(name) && !name.includes("+");
}

/** Refuses an origin that could not be a key's name. */
export function checkOrigin(origin) {
  if (!validName(origin) || utf8(origin).length > MAX_NAME || /[\u0000-\u001f\u007f-\u009f]/.test(origin)) {
    throw new Fault("origin " + JSON.stringify(origin.slice(0, 80)) + " is malformed");
  }
}

/**
 * Splits a signed note at its last blank line.
 * @returns {{text: Uint8Array, signatures: {name, keyID, blob}[]}} text with its final newline
 */
export function splitNote(note) {
  if (note.length > MAX_NOTE) throw new Fault("note of " + note.length + " bytes, limit " + MAX_NOTE);
  if (note.some((c) => c < 0x20 && c !== 0x0a)) throw new Fault("note has a control character");
  try {
    text(note);
  } catch {
    throw new Fault("note is not UTF-8");
  }
  const i = lastIndexOf(note, utf8("\n\n"));
  if (i < 0) throw new Fault("note has no signatures");
  const rest = text(note.subarray(i + 2));
  if (rest === "" || !rest.endsWith("\n")) throw new Fault("note does not end in a signature line");
  const lines = rest.slice(0, -1).split("\n");
  if (lines.length > MAX_NOTE_SIGNATURES) throw new Fault("note has over " + MAX_NOTE_SIGNATURES + " signatures");
  return { text: note.subarray(0, i + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const malformed = () => new Fault("note has a malformed signature line");
  if (!line.startsWith("\u2014 ")) throw malformed();
  const [name, encoded] = cut(line.slice(2), " ");
  let blob;
  try {
    blob = unbase64(encoded);
  } catch {
    throw malformed();
  }
  if (blob.length < 5 || !validName(name)) throw malformed();
  return { name, keyID: readU32(blob, 0), blob: blob.subarray(4) };
}

/** As strings.Cut. */
export function cut(s, sep) {
  const i = s.indexOf(sep);
  return i < 0 ? [s, ""] : [s.slice(0, i), s.slice(i + sep.length)];
}

/**
 * Reads a verifier key, <name>+<8 hex digits>+<base64 of type and key>, strictly.
 * @returns {{name: string, id: number, typ: number, public: Uint8Array}}
 */
export function parseVKey(vkey) {
  const refuse = (why) => {
    throw new Fault("vkey " + JSON.stringify(vkey.slice(0, 60)) + ": " + why);
  };
  const [name, rest] = cut(vkey, "+"), [id, encoded] = cut(rest, "+");
  if (!vkey.includes("+") || !rest.includes("+") || !validName(name) || utf8(name).length > MAX_NAME) refuse("malformed");
  let raw;
  try {
    raw = unbase64(encoded);
  } catch {
    refuse("malformed base64");
  }
  if (raw.length < 2) refuse("malformed base64");
  const sum = sha256(concat(utf8(name + "\n"), raw));
  const k = { name, id: readU32(sum, 0), typ: raw[0], public: raw.subarray(1) };
  if (id !== hex(sum.subarray(0, 4))) refuse("key id " + id.slice(0, 16) + ", want " + hex(sum.subarray(0, 4)));
  switch (k.typ) {
    case KEY_ED25519: case KEY_COSIGNATURE:
      if (k.public.length !== 32) refuse("key of " + k.public.length + " bytes, want 32");
      break;
    case KEY_MLDSA:
      if (!mldsa44CheckKey(k.public)) refuse("malformed ML-DSA-44 key");
      break;
    default:
      refuse("signature type " + k.typ + " is not known");
  }
  return k;
}

/**
 * Checks one signature of a checkpoint's text; throws where it does not verify.
 * @returns {bigint} the time that the signer states, Unix seconds; 0 where its type has none
 */
export function verifySignature(k, message, checkpoint, blob) {
  const refuse = (why) => {
    throw new Fault("key " + k.name + "+" + hex(u32be(k.id)) + ": " + why);
  };
  if (k.typ === KEY_ED25519) {
    if (!ed25519Verify(k.public, message, blob)) refuse("signature does not verify");
    return 0n;
  }
  if (blob.length < 8 || bigOf(blob.subarray(0, 8)) > MAX_SIZE) refuse("malformed timestamp: signature does not verify");
  const stamp = readU64(blob, 0), sig = blob.subarray(8);
  const ok = k.typ === KEY_COSIGNATURE
    ? ed25519Verify(k.public, concat(utf8("cosignature/v1\ntime " + stamp + "\n"), message), sig)
    : mldsa44Verify(k.public, subtreeMessage(k.name, stamp, checkpoint), sig);
  if (!ok) refuse("signature does not verify");
  return stamp;
}

/** What a 0x06 signature of a checkpoint signs: the subtree [0, size). */
function subtreeMessage(name, stamp, c) {
  const n = utf8(name), o = utf8(c.Origin);
  return concat(utf8("subtree/v1\n\0"), Uint8Array.of(n.length), n, u64be(stamp), Uint8Array.of(o.length), o,
    u64be(0n), u64be(c.Size), c.Root);
}
