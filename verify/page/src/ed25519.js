// Ed25519 verification (RFC 8032), without cofactor: the encoding of
// [S]B - [k]A must be R. It takes and refuses what Go's crypto/ed25519 does.

import { bigOf, concat, equal } from "./bytes.js";
import { sha512 } from "./sha512.js";

const P25519 = (1n << 255n) - 19n;
const L25519 = (1n << 252n) + 27742317777372353535851937790883648493n;

function mod25519(a) {
  const r = a % P25519;
  return r < 0n ? r + P25519 : r;
}

function pow25519(base, exponent) {
  let out = 1n;
  for (let b = base; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) out = (out * b) % P25519;
    b = (b * b) % P25519;
  }
  return out;
}

const D25519 = mod25519(-121665n * pow25519(121666n, P25519 - 2n));
const D2_25519 = (2n * D25519) % P25519;
const SQRT_M1 = pow25519(2n, (P25519 - 1n) / 4n);

function littleEndian(b) {
  return bigOf(Uint8Array.from(b).reverse());
}

function toLittleEndian(n) {
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++, n >>= 8n) out[i] = Number(n & 0xffn);
  return out;
}

/** The point [X, Y, Z, T] of an encoding, or null where there is none. y over p is taken, as Go takes it. */
function decodePoint(b) {
  const n = littleEndian(b), sign = n >> 255n;
  const y = (n & ((1n << 255n) - 1n)) % P25519;
  const yy = (y * y) % P25519;
  const u = mod25519(yy - 1n), v = (D25519 * yy + 1n) % P25519;
  const v3 = (((v * v) % P25519) * v) % P25519;
  const v7 = (((v3 * v3) % P25519) * v) % P25519;
  let x = (((u * v3) % P25519) * pow25519((u * v7) % P25519, (P25519 - 5n) / 8n)) % P25519;
  const check = (((v * x) % P25519) * x) % P25519;
  if (check !== u) {
    if (check !== mod25519(-u)) return null;
    x = (x * SQRT_M1) % P25519;
  }
  if ((x & 1n) !== sign) x = mod25519(-x);
  return [x, y, 1n, (x * y) % P25519];
}

function addPoints(p, q) {
  const a = mod25519((p[1] - p[0]) * (q[1] - q[0])), b = ((p[1] + p[0]) * (q[1] + q[0])) % P25519;
  const c = (((p[3] * D2_25519) % P25519) * q[3]) % P25519, d = (2n * p[2] * q[2]) % P25519;
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [mod25519(e * f), (g * h) % P25519, mod25519(f * g), mod25519(e * h)];
}

function doublePoint(p) {
  const a = (p[0] * p[0]) % P25519, b = (p[1] * p[1]) % P25519, c = (2n * p[2] * p[2]) % P25519;
  const h = a + b, s = p[0] + p[1], e = h - ((s * s) % P25519), g = a - b, f = c + g;
  return [mod25519(e * f), mod25519(g * h), mod25519(f * g), mod25519(e * h)];
}

/** The multiples 0..15 of a point. */
function multiplesOf(p) {
  const out = [[0n, 1n, 1n, 0n], p];
  for (let i = 2; i < 16; i++) out.push(addPoints(out[i - 1], p));
  return out;
}

const baseMultiples = multiplesOf(decodePoint(concat(Uint8Array.of(0x58), new Uint8Array(31).fill(0x66))));

/** Multiples of -A for the keys that were used last. */
const keyMultiples = new Map();

function multiplesOfKey(pub) {
  const name = pub.join(",");
  let m = keyMultiples.get(name);
  if (m !== undefined) return m;
  const a = decodePoint(pub);
  m = a && multiplesOf([mod25519(-a[0]), a[1], a[2], mod25519(-a[3])]);
  if (keyMultiples.size >= 1024) keyMultiples.clear();
  keyMultiples.set(name, m);
  return m;
}

/**
 * Whether sig is a signature of msg under the public key.
 * @param {Uint8Array} pub 32 bytes
 */
export function ed25519Verify(pub, msg, sig) {
  if (pub.length !== 32 || sig.length !== 64) return false;
  const s = littleEndian(sig.subarray(32));
  const minusA = multiplesOfKey(pub);
  if (s >= L25519 || minusA === null) return false;
  const k = littleEndian(sha512(concat(sig.subarray(0, 32), pub, msg))) % L25519;
  const sDigits = s.toString(16).padStart(64, "0"), kDigits = k.toString(16).padStart(64, "0");
  let r = baseMultiples[0];
  for (let i = 0; i < 64; i++) {
    if (i > 0) r = doublePoint(doublePoint(doublePoint(doublePoint(r))));
    const ds = parseInt(sDigits[i], 16), dk = parseInt(kDigits[i], 16);
    if (ds > 0) r = addPoints(r, baseMultiples[ds]);
    if (dk > 0) r = addPoints(r, minusA[dk]);
  }
  const z = pow25519(r[2], P25519 - 2n);
  const x = (r[0] * z) % P25519, y = (r[1] * z) % P25519;
  return equal(toLittleEndian(y | ((x & 1n) << 255n)), sig.subarray(0, 32));
}
