// Bytes, text and numbers: the strict conversions that everything else rests on.

const strictText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const textBytes = new TextEncoder();

/** The largest size of a log: sizes and indexes fit an int64. */
export const MAX_SIZE = (1n << 63n) - 1n;

/** UTF-8 bytes of a string. A lone surrogate is refused: it has none. */
export function utf8(s) {
  if (!s.isWellFormed()) throw new Error("text with a lone surrogate");
  return textBytes.encode(s);
}

/** The text of bytes that must be UTF-8; a byte order mark is kept. Throws. */
export function text(b) {
  return strictText.decode(b);
}

/** As text(), faster on the short ASCII that entries are made of. */
export function shortText(b, from, to) {
  if (to - from > 64) return strictText.decode(b.subarray(from, to));
  let s = "";
  for (let i = from; i < to; i++) {
    const c = b[i];
    if (c >= 0x80) return strictText.decode(b.subarray(from, to));
    s += String.fromCharCode(c);
  }
  return s;
}

/** Whether b[from:to] is UTF-8. */
export function isUtf8(b, from, to) {
  for (let i = from; i < to; i++) {
    if (b[i] < 0x80) continue;
    try {
      strictText.decode(b.subarray(i, to));
    } catch {
      return false;
    }
    return true;
  }
  return true;
}

/** All the bytes in one new array. */
export function concat(...parts) {
  return concatAll(parts);
}

/** As concat(), for more parts than a call may have arguments. */
export function concatAll(parts) {
  let n = 0;
  for (const p of parts) n += p.length;
  const out = new Uint8Array(n);
  n = 0;
  for (const p of parts) {
    out.set(p, n);
    n += p.length;
  }
  return out;
}

export function equal(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** As bytes.Compare: below 0, 0, above 0. */
export function compare(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Compares two strings by their UTF-8 bytes; code units of UTF-16 sort otherwise. */
export function compareText(a, b) {
  if (a === b) return 0;
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    if (x < 0xd800 && y < 0xd800) return x - y;
    return compare(textBytes.encode(a), textBytes.encode(b));
  }
  return a.length - b.length;
}

const hexDigits = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

export function hex(b) {
  let s = "";
  for (let i = 0; i < b.length; i++) s += hexDigits[b[i]];
  return s;
}

/** The bytes of lower-case hex. Throws. */
export function unhex(s) {
  if (s.length % 2 !== 0 || !/^[0-9a-f]*$/.test(s)) throw new Error("malformed hex");
  const out = new Uint8Array(s.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(s.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** A decimal number without sign or leading zeros, at most limit, as a BigInt. Throws. */
export function decimal(s, limit = MAX_SIZE) {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(s)) throw new Error("number " + JSON.stringify(s.slice(0, 30)) + " is malformed");
  const n = BigInt(s);
  if (n > limit) throw new Error("number " + s + " is over " + limit);
  return n;
}

export function u16be(n) {
  return Uint8Array.of(n >>> 8, n & 0xff);
}

export function u32be(n) {
  return Uint8Array.of(n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff);
}

/** Eight big-endian bytes of a BigInt, modulo 2^64. */
export function u64be(n) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt.asUintN(64, n));
  return out;
}

export function readU16(b, at) {
  return (b[at] << 8) | b[at + 1];
}

export function readU32(b, at) {
  return ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;
}

export function readU64(b, at) {
  return (BigInt(readU32(b, at)) << 32n) | BigInt(readU32(b, at + 4));
}

/** A big-endian integer of any length. */
export function bigOf(b) {
  return b.length === 0 ? 0n : BigInt("0x" + hex(b));
}

/** Where the bytes of needle begin in b, from the end; -1: nowhere. */
export function lastIndexOf(b, needle) {
  for (let i = b.length - needle.length; i >= 0; i--) {
    let j = 0;
    while (j < needle.length && b[i + j] === needle[j]) j++;
    if (j === needle.length) return i;
  }
  return -1;
}
