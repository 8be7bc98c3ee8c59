// The known rows of the table of streams of a close.

import { compare, equal, readU16, readU64 } from "./bytes.js";
import { cutRow } from "./close.js";
import { Fault } from "./errors.js";
import { hashLeaf } from "./sha256.js";
import { hasPrefix } from "./select.js";
import { Frontier, gapLevel } from "./tree.js";

const ROWS = "rows.bin", ROW_HASHES = "rows.hashes", MAX_ROW = 2 + 2081 + 40;

/** A tree that is made of the known leaves, ascending, and of the hashes of what lies between them. */
export class Fold {
  tree = new Frontier();

  /** @param {ByteStream} hashes 32 bytes for each subtree of a gap */
  constructor(hashes) {
    this.hashes = hashes;
  }

  /** Takes the hashes of the gap up to a leaf. */
  async skip(to) {
    if (to < this.tree.size) throw new Fault("it does not come after the one before");
    while (this.tree.size < to) {
      if (!this.hashes.has(32)) await this.hashes.fill(32);
      this.tree.appendTree(gapLevel(this.tree.size, to), this.hashes.take(32));
    }
  }

  /** Takes the known leaf at an index. */
  async add(index, leaf) {
    if (index !== this.tree.size) await this.skip(index);
    this.tree.append(leaf);
  }

  /** Refuses hashes that are left over. */
  done() {
    leftOver(this.hashes);
  }
}

/** Refuses what is left of a member. */
export function leftOver(stream) {
  if (stream.left !== 0) throw new Fault(stream.name + ": " + stream.left + " bytes more than it should have", { member: stream.name });
}

/** An error of a member, with words before it. */
export function memberFault(member, words, err) {
  if (!(err instanceof Fault)) return err;
  const message = err.message.startsWith(member + ": ") ? err.message.slice(member.length + 2) : err.message;
  return new Fault(member + ": " + words + message, { member: err.member || member, index: err.index });
}

/**
 * Reads the known rows and folds them to the table's root.
 * @returns {{index: bigint, key, count: bigint, root}[]}
 */
export async function readRows(archive, table) {
  const input = archive.stream(ROWS), fold = new Fold(archive.stream(ROW_HASHES)), rows = [];
  while (input.left > 0) {
    let r;
    try {
      r = await readRow(input);
      if (rows.length > 0 && compare(rows[rows.length - 1].key, r.key) >= 0) throw new Fault("it does not come after the one before");
      if (r.count > table.sum) throw new Fault("its stream has " + r.count + " entries, the table " + table.sum);
      if (r.index >= table.rows) throw new Fault("the table has " + table.rows + " rows");
    } catch (err) {
      throw memberFault(ROWS, "row " + rows.length + " of those that are known: ", err);
    }
    try {
      await fold.add(r.index, hashLeaf(r.bytes));
    } catch (err) {
      throw memberFault(ROW_HASHES, "before row " + r.index + ": ", err);
    }
    rows.push(r);
  }
  try {
    await fold.skip(table.rows);
  } catch (err) {
    throw memberFault(ROW_HASHES, "after the last known row: ", err);
  }
  fold.done();
  if (!equal(fold.tree.root(), table.root)) {
    throw new Fault(ROWS + ": rows and hashes do not lead to the root of the close's table of streams", { member: ROWS });
  }
  return rows;
}

/** Reads u64 index || row. */
async function readRow(input) {
  await input.fill(10);
  const head = input.peek(10), index = readU64(head, 0), n = 2 + readU16(head, 8) + 40;
  if (n > MAX_ROW) throw new Fault("its key is too long");
  await input.fill(8 + n);
  const b = input.take(8 + n).slice(8);
  return { ...cutRow(b, 0), index };
}

/**
 * Checks that all rows of the intervals are known, and of each interval the row
 * before and the row after, where the table has one; and no others.
 */
export function checkRows(rows, tableRows, prefixes) {
  const refuse = (why) => {
    throw new Fault(ROWS + ": " + why, { member: ROWS });
  };
  const needed = new Array(rows.length).fill(false);
  let at = 0;
  for (const p of prefixes) {
    while (at < rows.length && compare(rows[at].key, p) < 0) at++;
    let end = at;
    while (end < rows.length && hasPrefix(rows[end].key, p)) end++;
    const lo = Math.max(at - 1, 0), hi = Math.min(end + 1, rows.length);
    for (let i = lo; i < hi; i++) {
      needed[i] = true;
      if (i > lo && rows[i].index !== rows[i - 1].index + 1n) {
        refuse("rows " + rows[i - 1].index + " and " + rows[i].index + " are no neighbours, and a stream that is asked for may lie between them");
      }
    }
    const open = (at === 0 && lo < hi && rows[lo].index !== 0n) || (end === rows.length && lo < hi && rows[hi - 1].index !== tableRows - 1n);
    if (open || (lo === hi && tableRows !== 0n)) refuse("rows around a stream that is asked for are not shown: it may be missing");
  }
  const spare = needed.indexOf(false);
  if (spare >= 0) refuse("row " + rows[spare].index + " is not needed");
}
