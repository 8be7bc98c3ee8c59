// SHA-256 (FIPS 180-4), synchronous, and the hashes that a log is made of.

import { concat, u32be, utf8 } from "./bytes.js";

const K256 = (() => {
  // The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
  const k = new Int32Array(64);
  let n = 0;
  for (let p = 2; n < 64; p++) {
    let prime = true;
    for (let d = 2; d * d <= p; d++) if (p % d === 0) prime = false;
    if (prime) k[n++] = Number(rootBits(BigInt(p), 3n) & 0xffffffffn) | 0;
  }
  return k;
})();

/** floor(p^(1/root) * 2^32), by bisection in whole numbers. */
function rootBits(p, root) {
  let low = 0n, high = p << 32n;
  const goal = p << (32n * root);
  while (low < high) {
    const mid = (low + high + 1n) >> 1n;
    if (mid ** root <= goal) low = mid;
    else high = mid - 1n;
  }
  return low;
}

const IV256 = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n].map((p) => Number(rootBits(p, 2n) & 0xffffffffn) | 0);

const W256 = new Int32Array(64);

/** Adds the 64-byte blocks of b[at:end] to the state. */
function compress256(state, b, at, end) {
  const w = W256, k = K256;
  let h0 = state[0], h1 = state[1], h2 = state[2], h3 = state[3];
  let h4 = state[4], h5 = state[5], h6 = state[6], h7 = state[7];
  for (; at < end; at += 64) {
    for (let i = 0, p = at; i < 16; i++, p += 4) w[i] = (b[p] << 24) | (b[p + 1] << 16) | (b[p + 2] << 8) | b[p + 3];
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let a = h0, bb = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + (g ^ (e & (f ^ g))) + k[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & bb) | (c & (a | bb)))) | 0;
      h = g, g = f, f = e, e = (d + t1) | 0, d = c, c = bb, bb = a, a = (t1 + t2) | 0;
    }
    h0 = (h0 + a) | 0, h1 = (h1 + bb) | 0, h2 = (h2 + c) | 0, h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0, h5 = (h5 + f) | 0, h6 = (h6 + g) | 0, h7 = (h7 + h) | 0;
  }
  state[0] = h0, state[1] = h1, state[2] = h2, state[3] = h3;
  state[4] = h4, state[5] = h5, state[6] = h6, state[7] = h7;
}

/** SHA-256 of bytes that come in pieces. */
export class Sha256 {
  #state = Int32Array.from(IV256);
  #tail = new Uint8Array(128);
  #have = 0;
  #length = 0;

  update(b) {
    this.#length += b.length;
    let at = 0;
    if (this.#have > 0) {
      at = Math.min(64 - this.#have, b.length);
      this.#tail.set(b.subarray(0, at), this.#have);
      this.#have += at;
      if (this.#have < 64) return this;
      compress256(this.#state, this.#tail, 0, 64);
      this.#have = 0;
    }
    const end = b.length - ((b.length - at) % 64);
    compress256(this.#state, b, at, end);
    this.#tail.set(b.subarray(end), 0);
    this.#have = b.length - end;
    return this;
  }

  /** The sum. The hash is used up by it. */
  digest() {
    const tail = this.#tail;
    tail[this.#have] = 0x80;
    const end = this.#have < 56 ? 64 : 128;
    tail.fill(0, this.#have + 1, end);
    const view = new DataView(tail.buffer);
    view.setUint32(end - 8, Math.floor(this.#length / 0x20000000));
    view.setUint32(end - 4, (this.#length << 3) >>> 0);
    compress256(this.#state, tail, 0, end);
    return stateBytes(this.#state);
  }
}

function stateBytes(state) {
  const out = new Uint8Array(32);
  for (let i = 0; i < 8; i++) {
    const v = state[i];
    out[4 * i] = v >>> 24, out[4 * i + 1] = v >>> 16, out[4 * i + 2] = v >>> 8, out[4 * i + 3] = v;
  }
  return out;
}

const shortState = new Int32Array(8);
let shortBlocks = new Uint8Array(128);

/** SHA-256 of prefix (no byte where it is below 0) || b. */
function sum256(prefix, b) {
  const skip = prefix < 0 ? 0 : 1, n = b.length + skip;
  const padded = (n + 9 + 63) & ~63;
  if (shortBlocks.length < padded) shortBlocks = new Uint8Array(padded * 2);
  const buf = shortBlocks;
  buf[0] = prefix;
  buf.set(b, skip);
  buf[n] = 0x80;
  buf.fill(0, n + 1, padded);
  const bits = n * 8;
  for (let i = 1, v = bits; v > 0; i++, v = Math.floor(v / 256)) buf[padded - i] = v % 256;
  for (let i = 0; i < 8; i++) shortState[i] = IV256[i];
  compress256(shortState, buf, 0, padded);
  return stateBytes(shortState);
}

export function sha256(b) {
  return b.length > 1 << 20 ? new Sha256().update(b).digest() : sum256(-1, b);
}

/** SHA-256(0x00 || entry): RFC 6962's leaf hash. */
export function hashLeaf(entry) {
  return sum256(0, entry);
}

const nodeInput = new Uint8Array(64);

/** SHA-256(0x01 || left || right): RFC 6962's inner node. */
export function hashNode(left, right) {
  nodeInput.set(left, 0);
  nodeInput.set(right, 32);
  return sum256(1, nodeInput);
}

export const EMPTY_ROOT = sha256(new Uint8Array(0));

/** SHA-256("daybook/" label "/v1" || 0x00 || each part behind its u32 length). */
export function compositeHash(label, ...parts) {
  const pieces = [utf8("daybook/" + label + "/v1"), Uint8Array.of(0)];
  for (const p of parts) pieces.push(u32be(p.length), p);
  return sha256(concat(...pieces));
}
