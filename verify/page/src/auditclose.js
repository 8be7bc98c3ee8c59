// The closes of a whole log, computed where their cuts are passed.

import { compare, concat, equal, utf8 } from "./bytes.js";
import { checkCloseChain, checkCloseEntry, dayStart, TableBuilder } from "./close.js";
import { Fault } from "./errors.js";
import { runNext } from "./runs.js";
import { compositeHash } from "./sha256.js";
import { Frontier } from "./tree.js";
import { KIND } from "./words.js";

/** Streams and runs stand exactly at an entry's index before it is taken: where that is a cut, the tables are made. */
export class AuditClosing {
  tree = new Frontier(); // of all entries
  #cuts; // still ahead
  #drafts = []; // computed, not met yet
  #start = 0n; // of the period under way
  #cut = 0n; // where it begins
  #period = 0;
  #time = 0n; // log time of the entry before
  #newest = null; // the close met last: {close, index}
  #counts = { kinds: [], verdicts: [], alerts: [] };
  #touched = []; // runs with an entry in the period
  #oneOffs = new Map(); // by producer, since entry 0
  #streams = [];
  #sorted = true;

  constructor(cuts) {
    this.#cuts = cuts;
  }

  /** Notes a stream that begins. */
  begin(stream) {
    this.#streams.push(stream);
    this.#sorted = false;
  }

  #open(start, cut) {
    this.#start = start, this.#cut = cut, this.#period++;
    this.#counts = { kinds: [], verdicts: [], alerts: [] };
    this.#touched = [];
  }

  /** Computes the closes whose cut is the next entry, of that index, which has log time now. */
  reach(size, now) {
    const before = this.#time;
    this.#time = now;
    if (size === 0n) return this.#open(dayStart(now), 0n);
    while (this.#cuts.length > 0 && this.#cuts[0].size <= size) {
      const next = this.#cuts.shift();
      if (next.size < size || now < next.endNS || before >= next.endNS || next.endNS <= this.#start) continue; // unannounced where it is met
      this.#drafts.push(this.#draft(next));
      this.#open(next.endNS, next.size);
    }
  }

  #draft(at) {
    const counts = (list) => list.map((count, value) => ({ value, count })).filter((c) => c?.count > 0n);
    return {
      period_start_ns: this.#start, period_end_ns: at.endNS, cut: at.size, previous_cut: this.#cut, root: this.tree.root(),
      streams: this.#streamTable(), runs: this.#runTable(),
      kinds: counts(this.#counts.kinds), verdicts: counts(this.#counts.verdicts), alerts: counts(this.#counts.alerts),
    };
  }

  #streamTable() {
    if (!this.#sorted) this.#streams.sort((a, b) => compare(a.key, b.key));
    this.#sorted = true;
    const table = new TableBuilder();
    for (const s of this.#streams) if (s.count > 0n) table.add(s.key, s.count, s.tree.root());
    return { rows: table.tree.size, root: table.tree.root(), sum: table.sum };
  }

  #runTable() {
    const rows = this.#touched.map((r) => ({ key: concat(utf8(r.producer), Uint8Array.of(0), r.run), count: r.last, root: r.hash }));
    for (const [producer, o] of this.#oneOffs) {
      if (o.period === this.#period) rows.push({ key: concat(utf8(producer), Uint8Array.of(0)), count: o.count, root: o.hash });
    }
    const table = new TableBuilder();
    for (const r of rows.sort((a, b) => compare(a.key, b.key))) table.add(r.key, r.count, r.root);
    return { rows: table.tree.size, root: table.tree.root(), sum: table.sum };
  }

  /** Counts an entry, which is in its stream and run already; run is null where it has none. */
  take(e, run, body) {
    const add = (list, value) => (list[value] = (list[value] ?? 0n) + 1n);
    const kind = e.place.kind;
    add(this.#counts.kinds, kind);
    if (run !== null && run.period !== this.#period) run.period = this.#period, this.#touched.push(run);
    if (run === null && kind === KIND.access) this.#takeOneOff(e.head.producer, body);
    if (kind === KIND.access) add(this.#counts.verdicts, e.place.verdict);
    if (kind === KIND.alert) add(this.#counts.alerts, e.message.type);
    if (kind === KIND.close) this.#meet(e);
  }

  #takeOneOff(producer, body) {
    let o = this.#oneOffs.get(producer);
    if (o === undefined) this.#oneOffs.set(producer, (o = { count: 0n, hash: compositeHash("run", utf8(producer), new Uint8Array(32)), period: 0 }));
    o.count++;
    o.hash = runNext(o.hash, o.count, body);
    o.period = this.#period;
  }

  /** Compares a close in the log with the one that was computed at its cut, and with the close before it. */
  #meet(e) {
    const got = checkCloseEntry(e), want = this.#drafts[0];
    if (want === undefined || want.period_end_ns !== got.period_end_ns || want.cut !== got.cut) {
      throw new Fault("close with cut " + got.cut + ": the log times contradict its cut or its place");
    }
    this.#drafts.shift();
    const what = differingPart(want, got);
    if (what !== "") throw new Fault("close differs from the entries in its " + what);
    if (this.#newest !== null) checkCloseChain(this.#newest.close, this.#newest.index, got);
    else if (got.previous_close !== 0n) throw new Fault("the first close names one before it");
    this.#newest = { close: got, index: e.place.index };
  }
}

/** Names what differs in two closes beside the close before them; "": nothing. */
function differingPart(want, got) {
  const table = (a, b) => a.rows === b.rows && a.sum === b.sum && equal(a.root, b.root);
  const counts = (a, b) => a.length === b.length && a.every((c, i) => c.value === b[i].value && c.count === b[i].count);
  if (want.period_start_ns !== got.period_start_ns || want.previous_cut !== got.previous_cut) return "period or cut";
  if (!equal(want.root, got.root)) return "root";
  if (!table(want.streams, got.streams)) return "table of streams";
  if (!table(want.runs, got.runs)) return "table of runs";
  return ["kinds", "verdicts", "alerts"].every((list) => counts(want[list], got[list])) ? "" : "counts";
}
