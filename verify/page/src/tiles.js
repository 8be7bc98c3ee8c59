// A plain c2sp.org/tlog-tiles directory in a bundle, under log/.

import { equal, readU16 } from "./bytes.js";
import { Fault } from "./errors.js";
import { isTile } from "./members.js";
import { hashLeaf, hashNode } from "./sha256.js";
import { Frontier } from "./tree.js";

const TILE_WIDTH = 256, TREE_LEVELS = 8, MAX_TILE = TILE_WIDTH * 32, MAX_ENTRY_BUNDLE = TILE_WIDTH * (2 + 65536);
const TILES_CHECKPOINT = "log/checkpoint";

/** How many hashes tile n of a level has in the tree of a size, or entries; 0: there is none. */
function tileWidth(level, n, size) {
  const hashes = size >> BigInt(8 * level);
  if (n > hashes >> 8n) return 0;
  const left = hashes - (n << 8n);
  return left > 256n ? 256 : Number(left);
}

/** The name of a member: kind is a level or "entries". */
function tilePath(kind, n, width) {
  let digits = String(n);
  digits = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const groups = digits.match(/\d{3}/g).map((g, i, all) => (i < all.length - 1 ? "x" + g : g));
  return "log/tile/" + kind + "/" + groups.join("/") + (width === TILE_WIDTH ? "" : ".p/" + width);
}

/** The names of what the entries [first, end) need in a log of a size. */
function* neededTiles(first, end, size) {
  for (let n = first >> 8n; n <= (end - 1n) >> 8n; n++) yield tilePath("entries", n, tileWidth(0, n, size));
  for (let level = 0; level < TREE_LEVELS && size >> BigInt(8 * level) > 0n; level++) {
    const shift = BigInt(8 * (level + 1)), lo = first >> shift, hi = (end - 1n) >> shift, edge = size >> shift;
    for (let n = lo; n <= hi; n++) if (tileWidth(level, n, size) > 0) yield tilePath(level, n, tileWidth(level, n, size));
    if ((edge < lo || edge > hi) && tileWidth(level, edge, size) > 0) yield tilePath(level, edge, tileWidth(level, edge, size));
  }
}

/** The root of 1, 2, 4, ... 256 hashes that follow each other in b. */
function hashesRoot(b) {
  if (b.length === 32) return b;
  return hashNode(hashesRoot(b.subarray(0, b.length / 2)), hashesRoot(b.subarray(b.length / 2)));
}

/** Reads the tiles of a bundle, each held against the one above it, and so against the root. */
export class TileReader {
  #archive;
  #size;
  #last = []; // by level: {n, hashes}

  constructor(archive, size) {
    this.#archive = archive;
    this.#size = size;
  }

  /** The members under log/ are those that the entries [first, end) need, and the checkpoint is the bundle's. */
  async checkFiles(first, end) {
    const z = this.#archive, fault = (name, why) => new Fault(name + ": " + why, { member: name });
    if (!equal(await z.read(TILES_CHECKPOINT, 1 << 20), await z.read("checkpoint", 1 << 20))) throw fault(TILES_CHECKPOINT, "it is not the file's checkpoint");
    let need = 1;
    for (const name of neededTiles(first, end, this.#size)) {
      if (!z.has(name)) throw fault(name, "it is missing");
      need++;
    }
    const have = z.names.filter(isTile).length;
    if (have !== need) throw fault("log/", have + " files where " + need + " are needed");
  }

  async #raw(level, n, width) {
    const name = tilePath(level, n, width), b = await this.#archive.read(name, MAX_TILE);
    if (b.length !== 32 * width) throw new Fault(name + ": " + b.length + " bytes, not " + 32 * width, { member: name });
    return b;
  }

  /** The log's root, made of the tiles at the right edge. */
  async root() {
    return this.#rootOf(this.#size, (tile, edge) => this.#raw(tile, edge, tileWidth(tile, edge, this.#size)));
  }

  /** The root that the log had at a smaller size, in a bundle with all of its tiles; these are held against the root. */
  async rootAt(size) {
    return this.#rootOf(size, (tile, edge) => this.tile(tile, edge));
  }

  async #rootOf(size, read) {
    const tree = new Frontier();
    for (let level = 63; level >= 0; level--) {
      if (((size >> BigInt(level)) & 1n) === 0n) continue;
      const tile = level >> 3, inner = level % 8, edge = size >> BigInt(8 * (tile + 1));
      const b = await read(tile, edge);
      const at = Number((size >> BigInt(8 * tile)) & 255n) >> (inner + 1) << (inner + 1);
      tree.appendTree(level, hashesRoot(b.subarray(32 * at, 32 * (at + (1 << inner)))));
    }
    return tree.root();
  }

  /** The hashes of tile n of a level, held against the tile above. */
  async tile(level, n) {
    const last = this.#last[level];
    if (last?.n === n) return last.hashes;
    const width = tileWidth(level, n, this.#size), hashes = await this.#raw(level, n, width);
    if (width === TILE_WIDTH) {
      const above = await this.tile(level + 1, n >> 8n), at = 32 * Number(n & 255n), name = tilePath(level, n, width);
      if (!equal(hashesRoot(hashes), above.subarray(at, at + 32))) throw new Fault(name + ": it is not under the tile above it", { member: name });
    }
    this.#last[level] = { n, hashes };
    return hashes;
  }

  /** The entries of entry bundle n, each under its leaf: {name, list}. */
  async entries(n) {
    const hashes = await this.tile(0, n), width = hashes.length / 32, name = tilePath("entries", n, width);
    const raw = await this.#archive.read(name, MAX_ENTRY_BUNDLE), list = [];
    const fault = (why, index = null) => new Fault(name + ": " + why, { member: name, index });
    for (let at = 0; at < raw.length;) {
      if (list.length === width) throw fault("bytes behind entry " + (width - 1) + ", the last");
      const end = raw.length - at < 2 ? Infinity : at + 2 + readU16(raw, at);
      if (end > raw.length) throw fault("cut short in entry " + list.length + " of " + width);
      list.push(raw.subarray(at + 2, end));
      at = end;
    }
    if (list.length !== width) throw fault(list.length + " entries, not " + width);
    list.forEach((b, i) => {
      if (equal(hashLeaf(b), hashes.subarray(32 * i, 32 * i + 32))) return;
      throw fault("entry " + ((n << 8n) + BigInt(i)) + ": it is not under its leaf", (n << 8n) + BigInt(i));
    });
    return { name, list };
  }
}
