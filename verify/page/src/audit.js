// A whole log, derived anew: where each entry stands, its run, the closes.

import { AuditClosing } from "./auditclose.js";
import { equal, hex, utf8 } from "./bytes.js";
import { checkRunSignature, producerKey } from "./certificate.js";
import { canonicalDomain, streamKeyOf, takesNumber } from "./entry.js";
import { Detector } from "./detect.js";
import { Fault, Newer } from "./errors.js";
import { parseVKey } from "./note.js";
import { runNext, signedMessage } from "./runs.js";
import { domainOfProducer, isRunKind } from "./select.js";
import { compositeHash, sha256 } from "./sha256.js";
import { Frontier } from "./tree.js";
import { KIND } from "./words.js";

const MAX_TARGETS = 1024; // distinct targets of a source before the first map
const OVERFLOW_TARGET = "?overflow";

/** What the entries of a log tell, up to one of them. It refuses each that the ledger could not have written there. */
export class AuditState {
  #streams = new Map(); // by key in hex: {key, count, previous, tree}
  #runs = new Map(); // by producer || 0 || run id in hex
  #targets = new Map(); // of each source, before the first map
  #size = 0n;
  #stream = null; // of the entry that is being taken
  #detector = new Detector();

  /** @param {{size: bigint, endNS: bigint}[]} cuts of the closes that the log has, in order */
  constructor(origin, cuts) {
    this.origin = origin;
    this.closing = new AuditClosing(cuts);
  }

  /** Takes the next entry; throws where the ledger could not have written it. */
  take(e, leaf, judge) {
    const kind = e.place.kind;
    this.#place(e, judge.reign);
    const grounds = judge.check(e, kind === KIND.access ? e.message : null);
    this.#grow(e, leaf, judge.version);
    judge.take(e.place.index, e.head.log_time_ns, kind, e.body);
    this.#detector.take(e, grounds, judge.version);
    this.#size++;
  }

  /** Compares where an entry says that it stands, and under which key, with where it does. */
  #place(e, reign) {
    const { head, place } = e;
    if (head.format_version !== 1) throw new Newer("format version " + head.format_version);
    if ((place.kind === KIND["origin-opened"]) !== (this.#size === 0n)) throw new Fault("origin opened is entry 0, and only that");
    const streamName = streamKeyOf(place), name = hex(streamName);
    let s = this.#streams.get(name);
    if (s === undefined) {
      s = { key: streamName, count: 0n, previous: 0n, tree: new Frontier() };
      this.#streams.set(name, s);
      this.closing.begin(s);
    }
    if (place.position !== s.count || place.previous_in_stream !== s.previous) {
      throw new Fault("position " + place.position + " and previous " + place.previous_in_stream + " in its stream, not " + s.count + " and " + s.previous);
    }
    if (reign.succeeded) throw new Fault("an entry after that by which another log succeeds this one");
    const key = reign.fingerprint();
    if (head.producer === this.origin && key !== null && !equal(head.key_fingerprint, key)) throw new Fault("an entry of the log's own under another key than its own");
    this.#stream = s;
  }

  /** Adds an entry to its stream, its run and the log. */
  #grow(e, leaf, version) {
    const kind = e.place.kind, s = this.#stream;
    if (kind === KIND.access) this.#checkNames(e, version);
    else this.#checkStream(e);
    this.closing.reach(this.#size, e.head.log_time_ns);
    s.count++;
    s.previous = e.place.index + 1n;
    s.tree.append(leaf);
    this.closing.tree.append(leaf);
    const body = takesNumber(kind) ? sha256(e.body) : null;
    this.closing.take(e, this.#takeRun(e, body), body);
  }

  /** Refuses what the log lacks at its end. */
  end() {
    this.#detector.end();
  }

  /** The stream of an access by its names, as long as no map says what they mean. */
  #checkNames(e, version) {
    if (version !== null) return;
    const source = canonicalDomain(utf8(e.message.source.domain));
    let target = canonicalDomain(utf8(e.message.target.domain));
    let seen = this.#targets.get(source);
    if (seen === undefined) this.#targets.set(source, (seen = new Set()));
    if (!seen.has(target) && seen.size >= MAX_TARGETS) target = OVERFLOW_TARGET;
    else seen.add(target);
    this.#inStream(e, source, target);
  }

  #inStream(e, source, target) {
    if (e.place.source === source && e.place.target === target) return;
    throw new Fault("stream " + JSON.stringify(e.place.source) + " -> " + JSON.stringify(e.place.target) + ", not " + JSON.stringify(source) + " -> " + JSON.stringify(target));
  }

  /** The stream of an entry that is no access, and who may write that. */
  #checkStream(e) {
    const m = e.message, kind = e.place.kind;
    if (kind === KIND["origin-opened"]) return this.#checkOrigin(e);
    if (isRunKind(kind)) return this.#inStream(e, domainOfProducer(e.head.producer), "");
    if (kind === KIND.approval || kind === KIND.revocation) this.#inStream(e, m.from, m.to);
    else if (kind === KIND.alert) this.#inStream(e, m.source, m.target);
    else this.#inStream(e, "", "");
    if (e.head.producer !== this.origin) throw new Fault("from producer " + JSON.stringify(e.head.producer) + ": the log alone writes it");
  }

  #checkOrigin(e) {
    const name = parseVKey(e.message.vkey).name;
    if (e.message.origin !== this.origin || name !== this.origin || e.head.producer !== this.origin) throw new Fault("entry 0 opens another log");
  }

  /** Moves the run of an entry over it; null: it has none. */
  #takeRun(e, body) {
    const { head, place } = e, id = head.producer + "\0" + hex(head.run);
    if (place.kind === KIND["origin-opened"]) return null;
    let r = this.#runs.get(id);
    if (r === undefined && place.kind === KIND["run-opened"]) {
      const { producer, run, provenance } = head;
      r = { producer, run: run.slice(), provenance, epoch: 0n, last: 0n, hash: compositeHash("run", utf8(producer), run), previous: 0n, ended: false, spki: null, period: 0 };
      this.#runs.set(id, r);
    }
    if (r === undefined) {
      const lone = place.kind === KIND.access && place.number === 1n && place.previous_in_run === 0n &&
        equal(head.run, compositeHash("oneoff", utf8(head.producer), e.message.event_id));
      if (lone) return null;
      throw new Fault("run " + hex(head.run) + " of " + head.producer + " was never opened");
    }
    if (place.previous_in_run !== r.previous || head.provenance !== r.provenance) {
      throw new Fault("previous in run " + place.previous_in_run + ", not " + r.previous + ", or another provenance");
    }
    if (takesNumber(place.kind)) this.#number(r, e, body);
    else this.#control(r, e);
    r.previous = place.index + 1n;
    return r;
  }

  #number(r, e, body) {
    const number = e.place.number, epoch = e.head.epoch, m = e.message;
    if (r.ended || epoch !== r.epoch || number !== r.last + 1n) {
      throw new Fault("number " + number + " in epoch " + epoch + " of a run at " + r.last + " in epoch " + r.epoch);
    }
    r.hash = runNext(r.hash, number, body);
    r.last = number;
    if (e.place.kind !== KIND.gap) return;
    if (m.first !== number || m.last < number) throw new Fault("gap " + m.first + ".." + m.last + " under number " + number);
    r.last = m.last;
  }

  /** Moves a run over what is said about it. */
  #control(r, e) {
    const m = e.message, epoch = e.head.epoch;
    switch (e.place.kind) {
      case KIND["run-opened"]:
        if (r.epoch !== 0n || epoch !== 1n || !equal(m.run, r.run) || m.provenance !== r.provenance) throw new Fault("run opened twice, or differs from its heads");
        r.epoch = 1n;
        break;
      case KIND["run-resumed"]:
        if (r.ended || epoch !== r.epoch + 1n || m.epoch !== epoch || m.last !== r.last || !equal(m.hash, r.hash)) throw new Fault("run resumed differs from the run");
        r.epoch = epoch;
        break;
      case KIND["run-heartbeat"]:
        return this.#statement(r, epoch, m, "daybook/heartbeat/v1");
      default:
        this.#statement(r, epoch, m, "daybook/end/v1");
        r.ended = true;
        return;
    }
    if (m.certificate.length > 0) r.spki = producerKey(m.certificate, e.head.key_fingerprint).slice();
  }

  /** Checks what a heartbeat or end says of its run. */
  #statement(r, epoch, m, label) {
    if (r.ended || epoch !== r.epoch || m.epoch !== epoch || m.last !== r.last || !equal(m.hash, r.hash)) {
      throw new Fault("states number " + m.last + " in epoch " + m.epoch + ", the run is at " + r.last + " in epoch " + r.epoch + ", or its running hash is another");
    }
    if (m.signature.length === 0) return;
    checkRunSignature(r.spki ?? new Uint8Array(0), signedMessage(label, m), m.signature);
  }
}
