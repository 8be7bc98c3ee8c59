// The sponge functions SHAKE128 and SHAKE256 (FIPS 202) over Keccak-f[1600].
// A lane of 64 bits is kept as two 32-bit halves, low half first, because that
// is what JavaScript computes with fastest.

/** Round constants, low and high half of each, from the register of FIPS 202 algorithm 5. */
const KECCAK_ROUND_CONSTANTS = keccakRoundConstants();

/** Lane that pi puts at each step, and the rotation rho gives it there (FIPS 202 3.2.2 and 3.2.3). */
const KECCAK_STEPS = keccakSteps();

function keccakRoundConstants() {
  const halves = new Int32Array(48);
  let register = 1;
  for (let round = 0; round < 24; round++) {
    for (let j = 0; j <= 6; j++) {
      const bit = (1 << j) - 1; // rc[j] stands at bit 2^j - 1 of the lane
      if (register & 1) halves[2 * round + (bit >> 5)] ^= 1 << (bit & 31);
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
  }
  return halves;
}

function keccakSteps() {
  const steps = [];
  let x = 1, y = 0;
  for (let t = 0; t < 24; t++) {
    const to = y + 5 * ((2 * x + 3 * y) % 5); // pi moves (x, y) to (y, 2x+3y)
    steps.push({ to: 2 * to, turn: (((t + 1) * (t + 2)) / 2) % 64 });
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return steps;
}

/** Permutes the 50 halves of a state in place. */
function keccakPermute(a) {
  const c = new Int32Array(10);
  for (let round = 0; round < 24; round++) {
    keccakTheta(a, c);
    keccakRhoPi(a);
    keccakChi(a, c);
    a[0] ^= KECCAK_ROUND_CONSTANTS[2 * round];
    a[1] ^= KECCAK_ROUND_CONSTANTS[2 * round + 1];
  }
}

function keccakTheta(a, c) {
  for (let x = 0; x < 10; x++) c[x] = a[x] ^ a[x + 10] ^ a[x + 20] ^ a[x + 30] ^ a[x + 40];
  for (let x = 0; x < 10; x += 2) {
    const before = (x + 8) % 10, after = (x + 2) % 10;
    const low = c[before] ^ ((c[after] << 1) | (c[after + 1] >>> 31));
    const high = c[before + 1] ^ ((c[after + 1] << 1) | (c[after] >>> 31));
    for (let y = 0; y < 50; y += 10) {
      a[x + y] ^= low;
      a[x + y + 1] ^= high;
    }
  }
}

function keccakRhoPi(a) {
  let low = a[2], high = a[3];
  for (const { to, turn } of KECCAK_STEPS) {
    const nextLow = a[to], nextHigh = a[to + 1];
    if (turn >= 32) [low, high] = [high, low];
    const n = turn & 31;
    a[to] = n === 0 ? low : (low << n) | (high >>> (32 - n));
    a[to + 1] = n === 0 ? high : (high << n) | (low >>> (32 - n));
    low = nextLow;
    high = nextHigh;
  }
}

function keccakChi(a, row) {
  for (let y = 0; y < 50; y += 10) {
    for (let x = 0; x < 10; x++) row[x] = a[y + x];
    for (let x = 0; x < 10; x++) a[y + x] = row[x] ^ (~row[(x + 2) % 10] & row[(x + 4) % 10]);
  }
}

/** A SHAKE in use: absorb first, then squeeze as often as wanted. */
export class Shake {
  /** @param {number} rate bytes per block: 168 for SHAKE128, 136 for SHAKE256 */
  constructor(rate) {
    this.rate = rate;
    this.state = new Int32Array(50);
    this.at = 0;
    this.squeezing = false;
  }

  /** Absorbs bytes; returns the sponge. */
  absorb(bytes) {
    for (let i = 0; i < bytes.length; i++) {
      this.state[this.at >> 2] ^= bytes[i] << (8 * (this.at & 3));
      if (++this.at === this.rate) {
        keccakPermute(this.state);
        this.at = 0;
      }
    }
    return this;
  }

  /** Returns the next n bytes of output. */
  squeeze(n) {
    if (!this.squeezing) {
      this.state[this.at >> 2] ^= 0x1f << (8 * (this.at & 3)); // the suffix 1111 of SHAKE, then the padding's first 1
      this.state[(this.rate - 1) >> 2] ^= 0x80 << (8 * ((this.rate - 1) & 3));
      this.at = this.rate;
      this.squeezing = true;
    }
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      if (this.at === this.rate) {
        keccakPermute(this.state);
        this.at = 0;
      }
      out[i] = this.state[this.at >> 2] >>> (8 * (this.at & 3));
      this.at++;
    }
    return out;
  }
}

/** A new SHAKE128. */
export function shake128() {
  return new Shake(168);
}

/** A new SHAKE256. */
export function shake256() {
  return new Shake(136);
}
