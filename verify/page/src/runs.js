// The runs of the answers: whether their numbers are whole, up to what their
// producers signed.

import { compareText, concat, equal, hex, MAX_SIZE, u64be, utf8 } from "./bytes.js";
import { checkRunSignature, producerKey } from "./certificate.js";
import { parseBody } from "./entry.js";
import { Fault } from "./errors.js";
import { domainOfProducer, isRunKind } from "./select.js";
import { compositeHash, sha256 } from "./sha256.js";
import { AFTER, BEFORE, WITHIN } from "./streams.js";
import { KIND } from "./words.js";

/** The running hash after one more number, whose body has that SHA-256. */
export function runNext(previous, number, bodySum) {
  return sha256(concat(previous, u64be(number), bodySum));
}

/** What a producer signs in a heartbeat or an end. */
export function signedMessage(label, m) {
  return concat(utf8(label + "\0"), m.hash, u64be(m.last), u64be(m.epoch));
}

/** A message whose bytes are its own, so that it holds on to no part of the file. */
function ownBytes(m) {
  const out = {};
  for (const [k, v] of Object.entries(m)) out[k] = v instanceof Uint8Array ? v.slice() : v;
  if (out.import) out.import = ownBytes(out.import);
  return out;
}

/** One run of which there are answers. */
class FollowedRun {
  constructor(producer, run, shown) {
    this.shown = shown; // its numbers are in the bundle
    this.spki = null;
    this.anchored = false; // running and next hold
    this.running = null;
    this.next = 0n; // number that is expected
    this.loose = 0; // answers before it was anchored
    this.unseen = 0n; // numbers of which only the hash of the body is in the bundle
    this.fault = null; // the first thing that does not fit, and where
    this.report = {
      Producer: producer, Run: run, Opened: null, Answers: 0, First: 0n, Last: 0n, Signed: 0n, Gaps: 0, Lost: 0n, Declined: 0,
      Ended: false, Proved: false, Reason: "",
    };
  }

  answer(number) {
    const r = this.report;
    if (r.Answers === 0 || number < r.First) r.First = number;
    r.Answers++;
    if (number > r.Last) r.Last = number;
    if (!this.anchored) this.loose++;
  }

  /** Counts what an entry in the window says of the run. */
  count(kind, body) {
    const r = this.report;
    if (kind === KIND.declined) r.Declined++;
    if (kind === KIND.gap && body.last >= body.first) r.Gaps++, r.Lost += body.last - body.first + 1n;
  }

  /** Moves the run over an entry. Throws a Fault that is kept, unless numbers are missing. */
  async step(e, body, inRuns, numbers) {
    switch (e.place.kind) {
      case KIND["run-opened"]:
        if (this.report.Opened !== null || !equal(body.run, this.report.Run)) throw new Fault("the run is opened twice, or under another id");
        this.report.Opened = ownBytes(body);
        if (inRuns) this.anchored = true, this.running = compositeHash("run", utf8(this.report.Producer), this.report.Run), this.next = 1n;
        return this.certificate(e, body.certificate);
      case KIND["run-resumed"]:
        if (this.anchored) await this.reach(body.last, body.hash, numbers);
        return this.certificate(e, body.certificate);
      case KIND["run-heartbeat"]:
        return this.signed(body, "daybook/heartbeat/v1", numbers);
      case KIND["run-ended"]:
        this.report.Ended = true;
        return this.signed(body, "daybook/end/v1", numbers);
    }
    return this.number(e, body, numbers);
  }

  /** Takes an entry that has a number. */
  async number(e, body, numbers) {
    if (!this.anchored) return;
    const k = e.place.number;
    if (k < this.next) throw new Fault("number " + k + " comes after number " + (this.next - 1n));
    await this.take(k, numbers);
    this.running = runNext(this.running, k, sha256(e.body));
    this.next = k + 1n;
    if (e.place.kind !== KIND.gap) return;
    if (body.first !== k || body.last < k || body.last >= MAX_SIZE) throw new Fault("gap " + body.first + " to " + body.last + " under number " + k);
    this.next = body.last + 1n;
  }

  /** Takes the numbers below end that are not in the bundle. */
  async take(end, numbers) {
    if (this.next < end) this.unseen += end - this.next;
    for (; this.next < end; this.next++) {
      if (!numbers.has(32)) {
        if (numbers.left < 32) throw new Fault(numbers.name + ": numbers are missing", { member: numbers.name });
        await numbers.fill(32);
      }
      this.running = runNext(this.running, this.next, numbers.take(32));
    }
  }

  /** Moves the run to where an entry says that it is. */
  async reach(last, hash, numbers) {
    if (last >= MAX_SIZE || last + 1n < this.next) throw new Fault("it says that number " + last + " is the last, after number " + (this.next - 1n));
    await this.take(last + 1n, numbers);
    if (!equal(this.running, hash)) {
      throw new Fault("its running hash up to number " + last + " is not that of the numbers in the log: a number was left out, changed or put in");
    }
  }

  /** Takes a heartbeat or an end. */
  async signed(body, label, numbers) {
    if (this.anchored) await this.reach(body.last, body.hash, numbers);
    if (body.signature.length === 0 || this.spki === null) return;
    try {
      checkRunSignature(this.spki, signedMessage(label, body), body.signature);
    } catch (err) {
      throw new Fault("the producer's signature: " + err.message);
    }
    if (body.last >= MAX_SIZE) throw new Fault("it says that number " + body.last + " is the last");
    if (this.anchored) this.report.Signed = body.last;
    else this.anchored = true, this.running = body.hash.slice(), this.next = body.last + 1n;
  }

  certificate(e, der) {
    if (der.length === 0) return;
    try {
      this.spki = producerKey(der, e.head.key_fingerprint).slice();
    } catch (err) {
      throw new Fault("the producer's certificate: " + err.message);
    }
  }

  /** Says whether every answer lies between its anchor and a later signature, and why not. The words are in the report. */
  judge() {
    const r = this.report;
    if (this.fault !== null) r.Reason = "entry " + this.fault.index + ": " + this.fault.message;
    else if (!this.shown) r.Reason = "its numbers are not in this file";
    else if (!this.anchored) r.Reason = "nothing that its producer signed is here";
    else if (this.loose > 0) r.Reason = this.loose + " answers come before the first number that its producer signed here";
    else if (r.Signed < r.Last) r.Reason = "its producer signed the numbers up to " + r.Signed + "; the last answer has number " + r.Last;
    else if (this.unseen > 0n) r.Reason = "of " + this.unseen + " of its numbers only the hashes are here, which its producer signed: that the log has their entries is shown by a file of the whole log";
    else r.Proved = true;
  }
}

/** Follows the runs of the answers. */
export class FollowedRuns {
  #runs = new Map(); // by producer || 0 || run id in hex
  #producers = new Set(); // of answers
  oneOffs = 0;
  domains = new Set(); // of the producers of answers

  /** @param {{producer, run, id}[]} shown the runs whose numbers are in the bundle */
  constructor(shown, numbers, all = false) {
    this.numbers = numbers;
    this.all = all; // of a whole log: every run is followed
    for (const r of shown) this.#runs.set(r.id, new FollowedRun(r.producer, r.run, true));
  }

  #id(e) {
    return e.head.producer + "\0" + hex(e.head.run);
  }

  /** Takes an answer before its entry is followed; whether it is in a run. */
  answer(e, event) {
    const producer = e.head.producer;
    if (!this.#producers.has(producer)) this.#producers.add(producer), this.domains.add(domainOfProducer(producer));
    if (e.place.number === 1n && equal(e.head.run, compositeHash("oneoff", utf8(producer), event.event_id))) {
      this.oneOffs++;
      return false;
    }
    const r = this.#runs.get(this.#id(e)) ?? this.#add(e);
    r.answer(e.place.number);
    return true;
  }

  /** The opening of the run of an entry; null: not known. */
  opened(e) {
    return this.#runs.get(this.#id(e))?.report.Opened ?? null;
  }

  #add(e) {
    const r = new FollowedRun(e.head.producer, e.head.run.slice(), false);
    this.#runs.set(this.#id(e), r);
    return r;
  }

  /** Moves the run of an entry over it; at is its place in the window of runs. */
  async follow(e, body, at, inWindow) {
    const kind = e.place.kind, opens = kind === KIND["run-opened"] || kind === KIND["run-resumed"];
    if (kind !== KIND.access && !isRunKind(kind)) return;
    let r = this.#runs.get(this.#id(e));
    if (inWindow && (kind === KIND.declined || kind === KIND.gap)) {
      r ??= this.#add(e); // an answer of it may follow
      r.count(kind, body);
    }
    if (r === undefined && this.all && kind === KIND["run-opened"]) r = this.#add(e);
    if (r === undefined) return;
    r.shown ||= this.all;
    if (!r.shown || r.fault !== null || at === AFTER || (at === BEFORE && !opens)) return;
    try {
      await r.step(e, body, at === WITHIN, this.numbers);
    } catch (err) {
      if (!(err instanceof Fault) || err.member !== "") throw err;
      r.fault = { index: e.place.index, message: err.message };
    }
  }

  /** What does not fit: {index, message} of each such run. */
  faults() {
    return [...this.#runs.values()].map((r) => r.fault).filter((f) => f !== null);
  }

  /** The runs in order, judged. */
  finish() {
    const all = [...this.#runs.values()].filter((r) => r.report.Answers > 0 || (r.shown && !this.all));
    for (const r of all) r.judge();
    return all.sort((a, b) => compareText(a.report.Producer, b.report.Producer) || compareText(hex(a.report.Run), hex(b.report.Run)));
  }
}
