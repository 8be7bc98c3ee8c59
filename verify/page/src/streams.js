// The selected streams: that nothing in the window is missing in one of them.

import { equal, hex, readU64, text } from "./bytes.js";
import { parseStreamKey } from "./entry.js";
import { Fault } from "./errors.js";
import { Fold } from "./rows.js";
import { GOVERNED, isRunKind } from "./select.js";
import { gapCount, gapLevel } from "./tree.js";
import { KIND } from "./words.js";

export const BEFORE = 0;
export const WITHIN = 1;
export const AFTER = 2;

/** What entries a part answers for. */
export class AnswerWindow {
  /** @param {{first, end, lo, hi, runsFirst, runsEnd}} bounds indexes and log times */
  constructor(bounds) {
    Object.assign(this, bounds);
  }

  /** Where an index is in the window of runs. */
  placeOfRuns(index) {
    if (index < this.runsFirst) return BEFORE;
    return index >= this.runsEnd ? AFTER : WITHIN;
  }

  /** Where an entry of a kind is; about: its stream is known because it is about runs. Along the log it never falls back. */
  place(kind, about, index, ns) {
    if (GOVERNED.includes(kind)) return WITHIN;
    if (about) {
      const at = this.placeOfRuns(index);
      return at === BEFORE && (kind === KIND["run-opened"] || kind === KIND["run-resumed"]) ? WITHIN : at;
    }
    if (index < this.first || ns < this.lo) return BEFORE;
    return index >= this.end || ns >= this.hi ? AFTER : WITHIN;
  }
}

/** A selected stream: its entries at the positions [a, b) are known. */
export class SelectedStream {
  constructor(scope, row) {
    const p = parseStreamKey(row.key);
    this.row = row;
    this.kind = p.kind;
    this.source = text(p.source);
    this.target = text(p.target);
    this.late = p.late;
    this.asked = scope.asked(row.key, p);
    this.about = isRunKind(p.kind) && !(scope.exact !== null && this.asked) && scope.domains.length > 0;
    this.lastIndex = 0n; // of the known entry before
    this.first = BEFORE; // place of the first known entry
    this.last = BEFORE; // of the newest
    this.count = [0, 0, 0]; // known entries by place
  }

  get name() {
    return "stream " + hex(this.row.key);
  }

  /** Reads which positions are known, and the hashes of the others. */
  async read(input) {
    await input.fill(16);
    const b = input.take(16), count = this.row.count;
    this.a = readU64(b, 0);
    this.b = readU64(b, 8);
    if (this.a >= this.b || this.b > count) throw new Fault("positions [" + this.a + ", " + this.b + ") of " + count);
    if (GOVERNED.includes(this.kind) && (this.a !== 0n || this.b !== count)) {
      throw new Fault("positions [" + this.a + ", " + this.b + ") of " + count + ": all must be known");
    }
    const fold = new Fold(input);
    await fold.skip(this.a);
    fold.tree.nodes = fold.tree.nodes.map((h) => h.slice());
    this.tree = fold.tree;
    const n = gapCount(this.b, count);
    await input.fill(32 * n);
    this.tail = input.take(32 * n).slice();
  }

  /** Takes the stream's next known entry. */
  add(place, leaf, at) {
    const position = this.tree.size;
    if (position === this.b) throw new Fault("more entries of " + this.name + " than the positions [" + this.a + ", " + this.b + ") that are said to be known");
    if (place.position !== position) throw new Fault("position " + place.position + " in its stream, not " + position);
    const before = place.previous_in_stream;
    if ((position === 0n && before !== 0n) || (position > this.a && before !== this.lastIndex + 1n) ||
      (position > 0n && (before === 0n || before > place.index))) {
      throw new Fault("previous in stream " + before + " is not the entry before it in the stream");
    }
    if (position === this.a) this.first = at;
    this.last = at;
    this.count[at]++;
    this.lastIndex = place.index;
    this.tree.append(leaf);
  }

  /** Checks that nothing in the window is missing, and that its entries lead to the root in its row. */
  finish() {
    const { a, b, tree, name } = this, count = this.row.count;
    if (tree.size !== b) throw new Fault(name + ": positions [" + tree.size + ", " + b + ") are missing: entries were left out");
    if (this.first !== BEFORE && a !== 0n) {
      throw new Fault(name + ": the entry before the window is not shown: entries may have been left out before position " + a);
    }
    if (this.last !== AFTER && b !== count) {
      throw new Fault(name + ": the entry after the window is not shown: entries may have been left out from position " + b + " on");
    }
    if (this.count[BEFORE] > 1 || this.count[AFTER] > 1) throw new Fault(name + ": more entries outside the window than are needed");
    for (let at = 0; tree.size < count; at += 32) tree.appendTree(gapLevel(tree.size, count), this.tail.subarray(at, at + 32));
    if (!equal(tree.root(), this.row.root)) throw new Fault(name + ": entries and hashes do not lead to the root in its row");
    this.tail = null;
    tree.nodes = [];
  }
}
