// CRC-32 of zip (IEEE 802.3), eight bytes at a time.

const crcTables = (() => {
  const t = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    t[0][i] = c;
  }
  for (let k = 1; k < 8; k++) {
    for (let i = 0; i < 256; i++) t[k][i] = (t[k - 1][i] >>> 8) ^ t[0][t[k - 1][i] & 0xff];
  }
  return t;
})();

/** The CRC-32 of what had the sum seed, and b after it; an unsigned number. */
export function crc32(b, seed = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables;
  let c = ~seed, i = 0;
  for (const n = b.length - 7; i < n; i += 8) {
    c ^= b[i] | (b[i + 1] << 8) | (b[i + 2] << 16) | (b[i + 3] << 24);
    c = t7[c & 0xff] ^ t6[(c >>> 8) & 0xff] ^ t5[(c >>> 16) & 0xff] ^ t4[c >>> 24] ^
      t3[b[i + 4]] ^ t2[b[i + 5]] ^ t1[b[i + 6]] ^ t0[b[i + 7]];
  }
  for (; i < b.length; i++) c = (c >>> 8) ^ t0[(c ^ b[i]) & 0xff];
  return ~c >>> 0;
}
