// Standard base64 with padding, strictly: what is taken has one encoding.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const digits = (() => {
  const t = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) t[alphabet.charCodeAt(i)] = i;
  return t;
})();

export function base64(b) {
  let s = "";
  for (let i = 0; i < b.length; i += 3) {
    const n = (b[i] << 16) | ((b[i + 1] ?? 0) << 8) | (b[i + 2] ?? 0);
    s += alphabet[n >> 18] + alphabet[(n >> 12) & 63];
    s += i + 1 < b.length ? alphabet[(n >> 6) & 63] : "=";
    s += i + 2 < b.length ? alphabet[n & 63] : "=";
  }
  return s;
}

/** The bytes of base64 text that encodes to itself again. Throws. */
export function unbase64(s) {
  const malformed = () => new Error("malformed base64");
  if (s.length % 4 !== 0) throw malformed();
  const pad = s.endsWith("==") ? 2 : s.endsWith("=") ? 1 : 0;
  const out = new Uint8Array((s.length / 4) * 3 - pad);
  let at = 0;
  for (let i = 0; i < s.length; i += 4) {
    let n = 0;
    for (let j = 0; j < 4; j++) {
      const c = s.charCodeAt(i + j);
      const last = i + j >= s.length - pad;
      const d = last ? 0 : c < 128 ? digits[c] : -1;
      if (d < 0) throw malformed();
      n = (n << 6) | d;
    }
    for (let j = 0; j < 3; j++) {
      const c = (n >> (16 - 8 * j)) & 0xff;
      if (at < out.length) out[at++] = c;
      else if (c !== 0) throw malformed();
    }
  }
  return out;
}
