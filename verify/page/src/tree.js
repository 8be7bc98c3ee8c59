// The RFC 6962 tree: frontiers, folds over given hashes, and proofs.

import { equal, MAX_SIZE } from "./bytes.js";
import { Fault } from "./errors.js";
import { EMPTY_ROOT, hashNode } from "./sha256.js";

/** What a tree must remember to grow: the roots of its complete subtrees, largest first. */
export class Frontier {
  size = 0n;
  nodes = [];

  /** Adds a complete subtree of 1<<level leaves by its root; level 0 is a leaf. The size is a multiple of it. */
  appendTree(level, root) {
    const step = 1n << BigInt(level);
    for (let bit = step; (this.size & bit) !== 0n; bit <<= 1n) root = hashNode(this.nodes.pop(), root);
    this.nodes.push(root);
    this.size += step;
  }

  append(leaf) {
    this.appendTree(0, leaf);
  }

  root() {
    if (this.nodes.length === 0) return EMPTY_ROOT;
    let i = this.nodes.length - 1, root = this.nodes[i];
    while (i-- > 0) root = hashNode(this.nodes[i], root);
    return root;
  }
}

/** The level of the largest complete aligned subtree that begins at from and ends at or before to. */
export function gapLevel(from, to) {
  let level = bitLength(to - from) - 1;
  if (from !== 0n) level = Math.min(level, trailingZeros(from));
  return level;
}

/** How many bits a BigInt below 2^64 has. */
export function bitLength(n) {
  const high = Number(n >> 32n);
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(n & 0xffffffffn));
}

function trailingZeros(n) {
  const low = Number(n & 0xffffffffn) | 0;
  if (low !== 0) return 31 - Math.clz32(low & -low);
  const high = Number((n >> 32n) & 0xffffffffn) | 0;
  return high === 0 ? 63 : 63 - Math.clz32(high & -high);
}

/** How many hashes the gap [from, to) is given by. */
export function gapCount(from, to) {
  let n = 0;
  while (from < to) {
    from += 1n << BigInt(gapLevel(from, to));
    n++;
  }
  return n;
}

/** Whether two paths meet: RFC 6962's inclusion proof of a leaf. Throws where it does not. */
export function checkInclusion(index, size, leaf, proof, root) {
  if (size > MAX_SIZE || index >= size) throw new Fault("no entry " + index + " at size " + size);
  let node = leaf, used = 0;
  for (let i = index, last = size - 1n; last > 0n; i >>= 1n, last >>= 1n) {
    if ((i & 1n) === 1n || i < last) {
      if (used === proof.length) throw new Fault("inclusion proof has too few hashes");
      node = (i & 1n) === 1n ? hashNode(proof[used++], node) : hashNode(node, proof[used++]);
    }
  }
  if (used !== proof.length) throw new Fault("inclusion proof has too many hashes");
  if (!equal(node, root)) throw new Fault("entry " + index + " at size " + size + ": other root");
}

/** RFC 6962's consistency proof of two sizes. Throws where it does not lead to both roots. */
export function checkConsistency(first, second, firstRoot, secondRoot, proof) {
  if (first > second || second > MAX_SIZE) throw new Fault("no consistency from size " + first + " to size " + second);
  if ((first === 0n && !equal(firstRoot, EMPTY_ROOT)) || (second === 0n && !equal(secondRoot, EMPTY_ROOT))) {
    throw new Fault("size 0 with a root that is not the empty one");
  }
  if (first === 0n || first === second) {
    if (proof.length !== 0) throw new Fault("consistency proof has " + proof.length + " hashes, want 0");
    if (first === second && !equal(firstRoot, secondRoot)) throw new Fault("two roots at size " + first);
    return;
  }
  const hashes = (first & (first - 1n)) === 0n ? [firstRoot, ...proof] : proof.slice();
  let fn = first - 1n, sn = second - 1n;
  while ((fn & 1n) === 1n) fn >>= 1n, sn >>= 1n;
  if (hashes.length === 0) throw new Fault("consistency proof has too few hashes");
  let fr = hashes[0], sr = hashes[0];
  for (const c of hashes.slice(1)) {
    if (sn === 0n) throw new Fault("consistency proof has too many hashes");
    if ((fn & 1n) === 1n || fn === sn) {
      fr = hashNode(c, fr);
      sr = hashNode(c, sr);
      while ((fn & 1n) === 0n && fn !== 0n) fn >>= 1n, sn >>= 1n;
    } else {
      sr = hashNode(sr, c);
    }
    fn >>= 1n, sn >>= 1n;
  }
  if (sn !== 0n) throw new Fault("consistency proof has too few hashes");
  if (!equal(fr, firstRoot) || !equal(sr, secondRoot)) throw new Fault("size " + first + " to size " + second + ": other root");
}

/** The range proof of leaves [lo, lo + leaves.length) at a size. Throws where it does not lead to the root. */
export function checkRange(lo, size, leaves, proof, root) {
  if (leaves.length === 0 || size > MAX_SIZE || lo + BigInt(leaves.length) > size) throw new Fault("no range of " + leaves.length + " from " + lo);
  let span = leaves, hi = lo + BigInt(leaves.length) - 1n, used = 0;
  const next = () => {
    if (used === proof.length) throw new Fault("range proof has too few hashes");
    return proof[used++];
  };
  for (let last = size - 1n; last > 0n; lo >>= 1n, hi >>= 1n, last >>= 1n) {
    const row = (lo & 1n) === 1n ? [next(), ...span] : span.slice();
    if ((hi & 1n) === 0n && hi < last) row.push(next());
    span = [];
    for (let i = 0; i < row.length; i += 2) span.push(i + 1 < row.length ? hashNode(row[i], row[i + 1]) : row[i]);
  }
  if (used !== proof.length) throw new Fault("range proof has too many hashes");
  if (!equal(span[0], root)) throw new Fault("range from " + lo + " at size " + size + ": other root");
}
