// Closes and the rows of their tables.

import { compare, concat, equal, MAX_SIZE, readU16, readU64, text, u16be, u64be } from "./bytes.js";
import { Fault } from "./errors.js";
import { parseBody } from "./entry.js";
import { EMPTY_ROOT, hashLeaf } from "./sha256.js";
import { Frontier } from "./tree.js";
import { KIND } from "./words.js";

const DAY = 86400n * 1000000000n;
const MAX_MISSED_DAYS = 31n;
const MAX_ROW_KEY = 2048 + 1 + 32;

/** The UTC midnight at or before a time. */
export function dayStart(ns) {
  const start = ns - (ns % DAY);
  return start > ns ? start - DAY : start;
}

function checkPeriod(c) {
  const start = c.period_start_ns, end = c.period_end_ns;
  if (end <= start) throw new Fault("close: period ends at " + end + ", before its start " + start);
  const n = (dayStart(end) - dayStart(start)) / DAY;
  if ((n > 0n && end !== dayStart(end)) || (n > 1n && n <= MAX_MISSED_DAYS)) {
    throw new Fault("close: period [" + start + ", " + end + ") holds " + n + " midnights");
  }
}

function checkCounts(c) {
  const of = (kind) => c.kinds.find((k) => k.value === kind)?.count ?? 0n;
  const lists = [
    ["kinds", c.kinds, c.cut - c.previous_cut],
    ["verdicts", c.verdicts, of(KIND.access)],
    ["alerts", c.alerts, of(KIND.alert)],
  ];
  for (const [name, counts, want] of lists) {
    const sum = counts.reduce((n, k) => n + k.count, 0n);
    if (sum !== want) throw new Fault("close: " + name + " sum to " + sum + ", not " + want);
  }
}

/** Checks what a close says about itself. */
export function checkClose(c) {
  checkPeriod(c);
  if (c.cut < 1n || c.cut > MAX_SIZE || c.previous_cut > c.cut) throw new Fault("close: cut " + c.cut + " after cut " + c.previous_cut);
  if (c.previous_close === 0n && (c.previous_cut !== 0n || dayStart(c.period_start_ns) !== c.period_start_ns)) {
    throw new Fault("close: the first one starts at a midnight and has previous cut 0");
  }
  if (c.previous_close !== 0n && (c.previous_close <= c.previous_cut || c.previous_cut === 0n)) {
    throw new Fault("close: the one before is below its own cut " + c.previous_cut);
  }
  if (c.streams.sum !== c.cut) throw new Fault("close: streams sum to " + c.streams.sum + ", the cut is " + c.cut);
  for (const t of [c.streams, c.runs]) {
    if ((t.rows === 0n) !== equal(t.root, EMPTY_ROOT) || (t.rows === 0n && t.sum !== 0n)) {
      throw new Fault("close: a table's root does not go with its number of rows");
    }
  }
  if (c.streams.rows > c.cut) throw new Fault("close: " + c.streams.rows + " streams of " + c.cut + " entries");
  checkCounts(c);
}

/** Parses an entry that must be a close and checks that it stands where it may. */
export function checkCloseEntry(e) {
  const at = e.place.index;
  if (e.place.kind !== KIND.close) throw new Fault("entry " + at + " is no close");
  const c = parseBody(e.place.kind, e.body);
  checkClose(c);
  if (at < c.cut || e.head.log_time_ns < c.period_end_ns) throw new Fault("close " + at + " stands before its cut " + c.cut + " or the end of its period");
  if (e.place.previous_in_stream !== c.previous_close) throw new Fault("close " + at + " names another close than its stream");
  if (e.place.source !== "" || e.place.target !== "") throw new Fault("close " + at + " is in the stream of a pair");
  return c;
}

/** Checks that next is the close right after previous, which is at entry previousIndex. */
export function checkCloseChain(previous, previousIndex, next) {
  if (next.previous_close !== previousIndex + 1n) throw new Fault("close does not follow close " + previousIndex);
  if (next.period_start_ns !== previous.period_end_ns) throw new Fault("period starts at " + next.period_start_ns + ", the one before ends at " + previous.period_end_ns);
  if (next.previous_cut !== previous.cut) throw new Fault("close continues from cut " + next.previous_cut + ", the one before cuts at " + previous.cut);
  if (next.streams.rows < previous.streams.rows) throw new Fault("streams do not end: " + next.streams.rows + " after " + previous.streams.rows);
}

/** Reads the row at pos of b: {key, count, root, bytes, end}. */
export function cutRow(b, pos) {
  const n = b.length - pos >= 2 ? readU16(b, pos) : 0;
  if (n === 0 || n > MAX_ROW_KEY || b.length - pos < 2 + n + 40) throw new Fault("row is cut short, or its key is empty or over 2,081 bytes");
  const at = pos + 2 + n;
  return { key: b.subarray(pos + 2, at), count: readU64(b, at), root: b.subarray(at + 8, at + 40), bytes: b.subarray(pos, at + 40), end: at + 40 };
}

/** u16 length || key || u64 count || root. */
export function rowBytes(key, count, root) {
  return concat(u16be(key.length), key, u64be(count), root);
}

/** Reads the key of a row of the table of runs: {producer, run}; run is null for a producer's one-offs. */
export function parseRunRowKey(key) {
  const i = key.indexOf(0);
  if (i < 1 || i > 2048 || (key.length !== i + 1 && key.length !== i + 33)) throw new Fault("no key of a run");
  return { producer: text(key.subarray(0, i)), run: key.length === i + 1 ? null : key.subarray(i + 1) };
}

/** Makes the table of a close of its rows, in the order of their keys. */
export class TableBuilder {
  tree = new Frontier();
  sum = 0n;
  #last = new Uint8Array(0);

  add(key, count, root) {
    if (key.length === 0 || key.length > MAX_ROW_KEY || compare(this.#last, key) >= 0) throw new Fault("a row does not come after the one before");
    if (this.sum + count >= 1n << 64n) throw new Fault("counts of the rows overflow");
    this.tree.append(hashLeaf(rowBytes(key, count, root)));
    this.sum += count;
    this.#last = key.slice();
  }
}
