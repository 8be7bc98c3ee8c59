// SHA-512 (FIPS 180-4), synchronous, for Ed25519. Words are pairs of 32 bits.

const sha512Words = (() => {
  // The fractional bits of the roots of the first 80 primes.
  const primes = [];
  for (let p = 2; primes.length < 80; p++) if (primes.every((d) => p % d !== 0)) primes.push(p);
  const bits = (p, root) => {
    let low = 0n, high = BigInt(p) << 64n;
    const goal = BigInt(p) << (64n * root);
    while (low < high) {
      const mid = (low + high + 1n) >> 1n;
      if (mid ** root <= goal) low = mid;
      else high = mid - 1n;
    }
    return low & 0xffffffffffffffffn;
  };
  const split = (list) => {
    const out = new Int32Array(2 * list.length);
    list.forEach((v, i) => {
      out[2 * i] = Number(v >> 32n) | 0;
      out[2 * i + 1] = Number(v & 0xffffffffn) | 0;
    });
    return out;
  };
  return { k: split(primes.map((p) => bits(p, 3n))), iv: split(primes.slice(0, 8).map((p) => bits(p, 2n))) };
})();

const W512 = new Int32Array(160);

function schedule512(b, at) {
  const w = W512;
  for (let i = 0; i < 32; i++, at += 4) w[i] = (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  for (let i = 32; i < 160; i += 2) {
    const xh = w[i - 30], xl = w[i - 29], yh = w[i - 4], yl = w[i - 3];
    const s0h = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
    const s0l = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25));
    const s1h = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
    const s1l = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26));
    const low = (w[i - 31] >>> 0) + (s0l >>> 0) + (w[i - 13] >>> 0) + (s1l >>> 0);
    w[i] = (w[i - 32] + s0h + w[i - 14] + s1h + Math.floor(low / 0x100000000)) | 0;
    w[i + 1] = low | 0;
  }
}

function compress512(state, b, at) {
  schedule512(b, at);
  const w = W512, k = sha512Words.k, v = Int32Array.from(state);
  for (let i = 0; i < 160; i += 2) {
    const eh = v[8], el = v[9], ah = v[0], al = v[1];
    const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
    const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
    const chh = v[12] ^ (eh & (v[10] ^ v[12])), chl = v[13] ^ (el & (v[11] ^ v[13]));
    let low = (v[15] >>> 0) + (s1l >>> 0) + (chl >>> 0) + (k[i + 1] >>> 0) + (w[i + 1] >>> 0);
    const t1h = (v[14] + s1h + chh + k[i] + w[i] + Math.floor(low / 0x100000000)) | 0, t1l = low | 0;
    const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
    const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
    const mah = (ah & v[2]) | (v[4] & (ah | v[2])), mal = (al & v[3]) | (v[5] & (al | v[3]));
    low = (s0l >>> 0) + (mal >>> 0);
    const t2h = (s0h + mah + Math.floor(low / 0x100000000)) | 0, t2l = low | 0;
    v.copyWithin(2, 0, 14);
    low = (v[9] >>> 0) + (t1l >>> 0); // v[8], v[9] hold the old d now
    v[8] = (v[8] + t1h + Math.floor(low / 0x100000000)) | 0, v[9] = low | 0;
    low = (t1l >>> 0) + (t2l >>> 0);
    v[0] = (t1h + t2h + Math.floor(low / 0x100000000)) | 0, v[1] = low | 0;
  }
  for (let i = 0; i < 16; i += 2) {
    const low = (state[i + 1] >>> 0) + (v[i + 1] >>> 0);
    state[i] = (state[i] + v[i] + Math.floor(low / 0x100000000)) | 0;
    state[i + 1] = low | 0;
  }
}

/** SHA-512 of bytes. */
export function sha512(b) {
  const padded = new Uint8Array((b.length + 17 + 127) & ~127);
  padded.set(b);
  padded[b.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(b.length) * 8n);
  const state = Int32Array.from(sha512Words.iv);
  for (let at = 0; at < padded.length; at += 128) compress512(state, padded, at);
  const out = new Uint8Array(64), view = new DataView(out.buffer);
  state.forEach((v, i) => view.setInt32(4 * i, v));
  return out;
}
