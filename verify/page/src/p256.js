// ECDSA on P-256 (FIPS 186-5) with signatures in ASN.1 form, verification only.

import { bigOf } from "./bytes.js";

const P256 = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n;
const N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B256 = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const G256 = [
  0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  1n,
];
const NOWHERE = [1n, 1n, 0n];

function modulo(a, m) {
  const r = a % m;
  return r < 0n ? r + m : r;
}

function inverse(a, m) {
  let [r0, r1, t0, t1] = [m, modulo(a, m), 0n, 1n];
  while (r1 > 0n) {
    const q = r0 / r1;
    [r0, r1] = [r1, r0 - q * r1];
    [t0, t1] = [t1, t0 - q * t1];
  }
  return modulo(t0, m);
}

/** 2p in Jacobian coordinates, a = -3. */
function double256(p) {
  if (p[2] === 0n) return p;
  const [x, y, z] = p;
  const delta = (z * z) % P256, gamma = (y * y) % P256, beta = (x * gamma) % P256;
  const alpha = modulo(3n * (x - delta) * (x + delta), P256);
  const x3 = modulo(alpha * alpha - 8n * beta, P256);
  const z3 = modulo((y + z) ** 2n - gamma - delta, P256);
  const y3 = modulo(alpha * (4n * beta - x3) - 8n * gamma * gamma, P256);
  return [x3, y3, z3];
}

function add256(p, q) {
  if (p[2] === 0n) return q;
  if (q[2] === 0n) return p;
  const z1 = (p[2] * p[2]) % P256, z2 = (q[2] * q[2]) % P256;
  const u1 = (p[0] * z2) % P256, u2 = (q[0] * z1) % P256;
  const s1 = (((p[1] * q[2]) % P256) * z2) % P256, s2 = (((q[1] * p[2]) % P256) * z1) % P256;
  if (u1 === u2) return s1 === s2 ? double256(p) : NOWHERE;
  const h = modulo(u2 - u1, P256), r = modulo(s2 - s1, P256);
  const hh = (h * h) % P256, hhh = (h * hh) % P256, v = (u1 * hh) % P256;
  const x = modulo(r * r - hhh - 2n * v, P256);
  return [x, modulo(r * (v - x) - s1 * hhh, P256), (((h * p[2]) % P256) * q[2]) % P256];
}

function multiples256(p) {
  const out = [NOWHERE, p];
  for (let i = 2; i < 16; i++) out.push(add256(out[i - 1], p));
  return out;
}

const baseMultiples256 = multiples256(G256);

/** The point of 0x04 || x || y, or null where it is not on the curve. */
function point256(b) {
  if (b.length !== 65 || b[0] !== 4) return null;
  const x = bigOf(b.subarray(1, 33)), y = bigOf(b.subarray(33));
  if (x >= P256 || y >= P256 || modulo(x * x * x - 3n * x + B256 - y * y, P256) !== 0n) return null;
  return [x, y, 1n];
}

/** Whether 0x04 || x || y is a point of the curve. */
export function p256CheckKey(point) {
  return point256(point) !== null;
}

/** The content of a DER element with that tag at the start of b, and the rest; null where there is none. */
function derPart(b, tag) {
  if (b.length < 2 || b[0] !== tag) return null;
  let n = b[1], head = 2;
  if (n === 0x81 && b.length > 2 && b[2] >= 0x80) n = b[2], head = 3;
  else if (n >= 0x80) return null;
  return n > b.length - head ? null : [b.subarray(head, head + n), b.subarray(head + n)];
}

/** A positive integer in DER, minimal. */
function derInteger(b) {
  const part = derPart(b, 2);
  if (part === null) return null;
  const v = part[0];
  if (v.length === 0 || v[0] >= 0x80 || (v[0] === 0 && v.length > 1 && v[1] < 0x80)) return null;
  return [bigOf(v), part[1]];
}

function signature256(der) {
  const outer = derPart(der, 0x30);
  if (outer === null || outer[1].length > 0) return null;
  const r = derInteger(outer[0]), s = r && derInteger(r[1]);
  if (!s || s[1].length > 0) return null;
  return r[0] < 1n || r[0] >= N256 || s[0] < 1n || s[0] >= N256 ? null : [r[0], s[0]];
}

/**
 * Whether a DER signature of a 32-byte hash verifies under a public key.
 * @param {Uint8Array} point 0x04 || x || y
 */
export function p256Verify(point, hash, der) {
  const q = point256(point), sig = signature256(der);
  if (q === null || sig === null) return false;
  const w = inverse(sig[1], N256);
  const u1 = ((bigOf(hash) % N256) * w) % N256, u2 = (sig[0] * w) % N256;
  const d1 = u1.toString(16).padStart(64, "0"), d2 = u2.toString(16).padStart(64, "0");
  const keyMultiples256 = multiples256(q);
  let sum = NOWHERE;
  for (let i = 0; i < 64; i++) {
    sum = double256(double256(double256(double256(sum))));
    sum = add256(sum, baseMultiples256[parseInt(d1[i], 16)]);
    sum = add256(sum, keyMultiples256[parseInt(d2[i], 16)]);
  }
  if (sum[2] === 0n) return false;
  const z = inverse(sum[2], P256);
  return modulo(((sum[0] * z) % P256) * z, P256) % N256 === sig[0];
}
