// Verification of ML-DSA-44 signatures (FIPS 204), pure, with an empty context:
// the type 0x06 of c2sp.org/signed-note. Coefficients are plain numbers in
// [0, q): a product stays below 2^46, which a double holds exactly.

import { shake128, shake256 } from "./keccak.js";

const MLDSA_Q = 8380417;
const MLDSA_ROWS = 4; // k
const MLDSA_COLUMNS = 4; // l
const MLDSA_TAU = 39; // ones in the challenge
const MLDSA_GAMMA1 = 1 << 17;
const MLDSA_GAMMA2 = (MLDSA_Q - 1) / 88;
const MLDSA_BETA = 78; // tau times eta
const MLDSA_OMEGA = 80; // most ones in a hint
const MLDSA_KEY_SIZE = 1312;
const MLDSA_SIGNATURE_SIZE = 2420;
const MLDSA_CHALLENGE_SIZE = 32;
const MLDSA_Z_BITS = 18;
const MLDSA_Z_SIZE = 256 * MLDSA_Z_BITS / 8;

/** zetas[i] = 1753^bitreverse8(i) mod q (FIPS 204 appendix B). */
const MLDSA_ZETAS = mldsaZetas();

function mldsaZetas() {
  const powers = [1];
  for (let i = 1; i < 256; i++) powers.push((powers[i - 1] * 1753) % MLDSA_Q);
  return powers.map((_, i) => {
    let reversed = 0;
    for (let bit = 0; bit < 8; bit++) reversed |= ((i >> bit) & 1) << (7 - bit);
    return powers[reversed];
  });
}

/** Transforms a polynomial in place (algorithm 41). */
function mldsaNTT(w) {
  let m = 0;
  for (let len = 128; len >= 1; len >>= 1) {
    for (let start = 0; start < 256; start += 2 * len) {
      const zeta = MLDSA_ZETAS[++m];
      for (let j = start; j < start + len; j++) {
        const t = (zeta * w[j + len]) % MLDSA_Q;
        w[j + len] = (w[j] - t + MLDSA_Q) % MLDSA_Q;
        w[j] = (w[j] + t) % MLDSA_Q;
      }
    }
  }
  return w;
}

/** Transforms back in place (algorithm 42). */
function mldsaInverseNTT(w) {
  let m = 256;
  for (let len = 1; len < 256; len <<= 1) {
    for (let start = 0; start < 256; start += 2 * len) {
      const zeta = MLDSA_Q - MLDSA_ZETAS[--m];
      for (let j = start; j < start + len; j++) {
        const t = w[j];
        w[j] = (t + w[j + len]) % MLDSA_Q;
        w[j + len] = (zeta * (t - w[j + len] + MLDSA_Q)) % MLDSA_Q;
      }
    }
  }
  for (let i = 0; i < 256; i++) w[i] = (w[i] * 8347681) % MLDSA_Q; // 256^-1
  return w;
}

/** Reads count numbers of bits each, least significant bit first. */
function mldsaUnpack(bytes, bits, count) {
  const out = new Array(count);
  let held = 0, have = 0, at = 0;
  for (let i = 0; i < count; i++) {
    while (have < bits) {
      held += bytes[at++] * 2 ** have;
      have += 8;
    }
    out[i] = held % 2 ** bits;
    held = Math.floor(held / 2 ** bits);
    have -= bits;
  }
  return out;
}

/** One polynomial of the matrix A, already transformed (algorithm 30). */
function mldsaExpand(rho, row, column) {
  const sponge = shake128().absorb(rho).absorb([column, row]);
  const out = [];
  while (out.length < 256) {
    const [b0, b1, b2] = sponge.squeeze(3);
    const z = ((b2 & 0x7f) << 16) | (b1 << 8) | b0;
    if (z < MLDSA_Q) out.push(z);
  }
  return out;
}

/** The challenge polynomial of its hash (algorithm 29). */
function mldsaSampleInBall(seed) {
  const sponge = shake256().absorb(seed);
  const signs = sponge.squeeze(8);
  const c = new Array(256).fill(0);
  for (let i = 256 - MLDSA_TAU; i < 256; i++) {
    let j = sponge.squeeze(1)[0];
    while (j > i) j = sponge.squeeze(1)[0];
    const bit = i + MLDSA_TAU - 256;
    c[i] = c[j];
    c[j] = (signs[bit >> 3] >> (bit & 7)) & 1 ? MLDSA_Q - 1 : 1;
  }
  return c;
}

/** Reads the hint (algorithm 21); null where it is not the one encoding of its ones. */
function mldsaUnpackHint(bytes) {
  const rows = [];
  let at = 0;
  for (let row = 0; row < MLDSA_ROWS; row++) {
    const ones = new Uint8Array(256);
    const end = bytes[MLDSA_OMEGA + row];
    if (end < at || end > MLDSA_OMEGA) return null;
    for (let first = at; at < end; at++) {
      if (at > first && bytes[at - 1] >= bytes[at]) return null;
      ones[bytes[at]] = 1;
    }
    rows.push(ones);
  }
  for (; at < MLDSA_OMEGA; at++) if (bytes[at] !== 0) return null;
  return rows;
}

/** Reads the response vector z; null where a coefficient is too large. */
function mldsaUnpackZ(bytes) {
  const z = [];
  for (let i = 0; i < MLDSA_COLUMNS; i++) {
    const packed = mldsaUnpack(bytes.subarray(i * MLDSA_Z_SIZE, (i + 1) * MLDSA_Z_SIZE), MLDSA_Z_BITS, 256);
    const poly = packed.map((v) => MLDSA_GAMMA1 - v);
    if (poly.some((v) => Math.abs(v) >= MLDSA_GAMMA1 - MLDSA_BETA)) return null;
    z.push(poly.map((v) => (v + MLDSA_Q) % MLDSA_Q));
  }
  return z;
}

/** The high part of r, corrected by a hint (algorithms 36 and 40). */
function mldsaUseHint(hint, r) {
  const whole = 2 * MLDSA_GAMMA2, most = (MLDSA_Q - 1) / whole;
  let low = r % whole;
  if (low > MLDSA_GAMMA2) low -= whole;
  let high = (r - low) / whole;
  if (r - low === MLDSA_Q - 1) {
    high = 0;
    low -= 1;
  }
  if (!hint) return high;
  return low > 0 ? (high + 1) % most : (high - 1 + most) % most;
}

/** Row row of A z - c t1 2^d with its hint applied, packed in 6 bits a coefficient. */
function mldsaRow(key, row, z, c, ones) {
  const sum = new Array(256).fill(0);
  for (let column = 0; column < MLDSA_COLUMNS; column++) {
    const a = mldsaExpand(key.subarray(0, 32), row, column);
    for (let i = 0; i < 256; i++) sum[i] = (sum[i] + a[i] * z[column][i]) % MLDSA_Q;
  }
  const t1 = mldsaUnpack(key.subarray(32 + 320 * row, 352 + 320 * row), 10, 256);
  const t = mldsaNTT(t1.map((v) => v * 8192));
  for (let i = 0; i < 256; i++) sum[i] = (sum[i] + (MLDSA_Q - c[i]) * t[i]) % MLDSA_Q;
  const w = mldsaInverseNTT(sum);
  const packed = new Uint8Array(192);
  for (let i = 0; i < 256; i++) {
    const high = mldsaUseHint(ones[i], w[i]), bit = 6 * i;
    packed[bit >> 3] |= high << (bit & 7);
    if ((bit & 7) > 2) packed[(bit >> 3) + 1] |= high >> (8 - (bit & 7));
  }
  return packed;
}

/** Whether bytes are an ML-DSA-44 public key: any 1,312 bytes are. */
export function mldsa44CheckKey(key) {
  return key.length === MLDSA_KEY_SIZE;
}

/**
 * Whether signature is one of message under key: algorithms 3 and 8, pure, with an
 * empty context. A malformed key or signature is no signature.
 * @param {Uint8Array} key 1,312 bytes
 * @param {Uint8Array} message
 * @param {Uint8Array} signature 2,420 bytes
 * @returns {boolean}
 */
export function mldsa44Verify(key, message, signature) {
  if (!mldsa44CheckKey(key) || signature.length !== MLDSA_SIGNATURE_SIZE) return false;
  const challenge = signature.subarray(0, MLDSA_CHALLENGE_SIZE);
  const hintAt = MLDSA_CHALLENGE_SIZE + MLDSA_COLUMNS * MLDSA_Z_SIZE;
  const z = mldsaUnpackZ(signature.subarray(MLDSA_CHALLENGE_SIZE, hintAt));
  const hint = mldsaUnpackHint(signature.subarray(hintAt));
  if (z === null || hint === null) return false;
  z.forEach(mldsaNTT);
  const c = mldsaNTT(mldsaSampleInBall(challenge));
  const keyHash = shake256().absorb(key).squeeze(64);
  const mu = shake256().absorb(keyHash).absorb([0, 0]).absorb(message).squeeze(64);
  const again = shake256().absorb(mu);
  for (let row = 0; row < MLDSA_ROWS; row++) again.absorb(mldsaRow(key, row, z, c, hint[row]));
  const sum = again.squeeze(MLDSA_CHALLENGE_SIZE);
  return sum.every((b, i) => b === challenge[i]);
}
