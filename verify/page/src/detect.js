// What no single entry of a whole log shows: which alerts, and which logs of
// producers' clocks, the entries call for. What is found the log owes, and it must
// stand in the log later, the same in every field.

import { equal, u32be, u64be, utf8 } from "./bytes.js";
import { sameMessage } from "./changes.js";
import { dayStart } from "./close.js";
import { detectAccess, meetKey } from "./detectaccess.js";
import { clockLimitOf, newClockLog } from "./detectclock.js";
import { detectApproval, detectClose, detectRevocation } from "./detectclose.js";
import { enterMap, findSilence, hearExpected } from "./detectmap.js";
import { alertType, clip, rests } from "./detecttext.js";
import { Fault } from "./errors.js";
import { emptyMessage } from "./proto.js";
import { compositeHash } from "./sha256.js";
import { enumNumber, KIND, word } from "./words.js";

const DETECT_DAY = 86400n * 1000000000n;
const KEPT_DAYS = 31n, DETECTOR_VERSION = 1;
const MAX_PRODUCERS = 1 << 14, MAX_ALERTS = 1000, MAX_ALERTS_DAY = 1 << 14;
const OVERFLOW_SUBJECT = "detector: ", CLOCK_METHOD = "producer's clock";

const foundTypes = new Set(["credential-reuse", "key-reuse", "undeclared-flow", "forbidden-tier", "revoked-use", "approval-unused", "flow-unused",
  "clock", "one-sided", "shared-hosting", "unmapped"].map(alertType));
const SILENT = alertType("silence"), OVERFLOWED = alertType("overflow"), TOO_MANY = alertType("too-many");
const ACTIVITY_CLOCK = enumNumber("ActivityType", "clock");

/** A producer on one day. */
function newProducer() {
  return { told: 0, tooMany: false, clockTold: false, clock: newClockLog() };
}

/** The state of all detectors before an entry. */
export class Detector {
  day = 0n; // of the newest entry: its start
  mapIndex = 0n;
  cuts = [0n, 0n]; // of the two newest closes, the newest last
  origin = ""; // the log's
  since = 0n; // log time before which no silence counts
  due = 0n; // no expected producer is silent up to that log time; 0: for ever
  credentials = new Map(); // by fingerprint, on one day: {domain, first, told}
  keys = new Map(); // by fingerprint: {producer, first, day, told}
  producers = new Map();
  undeclared = new Set(); // pairs under one map
  forbidden = new Set(); // pairs on one day
  unmapped = new Set(); // names on one day
  revoked = new Set(); // approvals on one day
  crossings = new Map(); // that wait for a report
  approvals = new Map(); // by index: those that are not over
  flows = new Map(); // by id: {since, told}
  expected = new Map(); // by producer: {limit, last, at, told}
  observed = new Map(); // pairs whose crossings some flow expects observers of: {a, b, expected, open}
  from = { name: null }; // who appended the newest entry
  #told = 0; // alerts owed on this day
  #overflowed = new Set(); // tables that overflowed on this day
  #owed = []; // oldest first: {alert, activity, index, excused, day}

  /** Takes the next entry; version is the map in force, for a domain map entry the one it brings. */
  take(e, grounds, version) {
    const now = e.head.log_time_ns;
    if (now >= this.day + DETECT_DAY || this.day === 0n) this.#turn(now);
    if (version !== null && version.Index !== this.mapIndex) enterMap(this, e, version);
    findSilence(this, e);
    this.#meet(e, version);
    hearExpected(this, e);
    switch (e.place.kind) {
      case KIND.access: return detectAccess(this, e, grounds, version);
      case KIND.approval: return detectApproval(this, e);
      case KIND.revocation: return detectRevocation(this, e);
      case KIND.close: return detectClose(this, e, version);
      case KIND.alert: return this.#settleAlert(e);
      case KIND.activity: return this.#settleActivity(e);
    }
  }

  /** Begins a UTC day. */
  #turn(now) {
    this.day = dayStart(now);
    this.#told = 0;
    for (const t of [this.#overflowed, this.credentials, this.forbidden, this.unmapped, this.revoked]) t.clear();
    for (const [k, v] of this.keys) if (v.day < this.day - KEPT_DAYS * DETECT_DAY) this.keys.delete(k);
    for (const [name, v] of this.producers) {
      if (v.clock.events === 0n) this.producers.delete(name);
      else v.told = 0, v.clockTold = false, v.tooMany = false;
    }
    this.#owed = this.#owed.filter((o) => !o.excused || o.day >= this.day - DETECT_DAY);
    this.from = { name: null };
  }

  /** Notes who appended an entry. */
  #meet(e, version) {
    const f = this.from, h = e.head;
    if (f.producer && f.name === h.producer && equal(f.key, h.key_fingerprint) && f.version === version && f.provenance === h.provenance) return;
    let producer = this.producers.get(h.producer) ?? null;
    if (producer === null && this.producers.size < MAX_PRODUCERS) this.producers.set(h.producer, (producer = newProducer()));
    else if (producer === null) this.overflow(e, "over " + MAX_PRODUCERS + " producers on one day: the clocks of further ones are not looked at");
    this.from = {
      version, key: h.key_fingerprint, provenance: h.provenance, producer, name: producer === null ? "" : h.producer,
      clockLimit: clockLimitOf(e, version), expected: this.expected.get(h.producer) ?? null,
    };
    meetKey(this, e);
  }

  /** Makes the log owe an alert, unless its producer has too many; "" is nobody. */
  raise(e, producer, type, fields) {
    let row = this.producers.get(producer) ?? this.producers.get("");
    if (row === undefined) this.producers.set("", (row = newProducer()));
    if (row.told > MAX_ALERTS || this.#told >= MAX_ALERTS_DAY) return;
    row.told++;
    this.#told++;
    const m = { ...emptyMessage("Alert"), type: alertType(type), detector_version: DETECTOR_VERSION, ...fields };
    if (m.period_end_ns === 0n) m.period_start_ns = this.day, m.period_end_ns = this.day + DETECT_DAY;
    m.subject = clip(m.subject, 2048), m.detail = clip(m.detail, 2048), m.producer = clip(producer, 2048);
    m.id = compositeHash("alert", u32be(m.type), utf8(m.subject), u64be(m.period_start_ns), u64be(m.period_end_ns));
    this.#owed.push({ alert: m, activity: null, index: e.place.index, excused: row.tooMany, day: this.day });
  }

  /** Makes the log owe an activity entry. */
  oweActivity(e, fields) {
    const activity = { ...emptyMessage("Activity"), type: ACTIVITY_CLOCK, method: CLOCK_METHOD, ...fields };
    this.#owed.push({ alert: null, activity, index: e.place.index, excused: false, day: this.day });
  }

  /** Makes the log owe the alert that something has no room, once a day. */
  overflow(e, words) {
    if (this.#overflowed.has(words)) return;
    this.#overflowed.add(words);
    this.raise(e, "", "overflow", { subject: OVERFLOW_SUBJECT + words, entries: rests(e.place.index), detail: words });
  }

  /** Compares an alert in the log with what is owed. */
  #settleAlert(e) {
    const m = e.message;
    if (m.type === TOO_MANY) return this.#excuse(m.producer);
    const mine = foundTypes.has(m.type) || (m.type === SILENT && !m.subject.startsWith("run ")) ||
      (m.type === OVERFLOWED && m.subject.startsWith(OVERFLOW_SUBJECT) && m.subject.length > OVERFLOW_SUBJECT.length);
    if (!mine || m.detector_version > DETECTOR_VERSION) return;
    const at = this.#owed.findIndex((o) => o.alert !== null && sameMessage(o.alert, m));
    if (at < 0) throw new Fault("alert " + word("AlertType", m.type) + " of " + JSON.stringify(m.subject) + ", which the entries before it do not call for");
    this.#owed.splice(at, 1);
  }

  /** The log keeps no more alerts of a producer on this day. */
  #excuse(producer) {
    let row = this.producers.get(producer);
    if (row === undefined) this.producers.set(producer, (row = newProducer()));
    row.tooMany = true;
    for (const o of this.#owed) if (o.alert !== null && o.alert.producer === producer) o.excused = true;
  }

  /** Compares an activity entry of a producer's clock with what is owed. */
  #settleActivity(e) {
    const m = e.message;
    if (m.type !== ACTIVITY_CLOCK || m.method !== CLOCK_METHOD) return;
    const at = this.#owed.findIndex((o) => o.activity !== null && sameMessage(o.activity, m));
    if (at < 0) throw new Fault("clock log of " + JSON.stringify(m.actor) + ", which the entries before it do not call for");
    this.#owed.splice(at, 1);
  }

  /** Refuses what the log should have by now: an entry below the cut of the close before the newest one showed it. */
  end() {
    const o = this.#owed.find((x) => !x.excused && x.index < this.cuts[0]);
    if (o === undefined) return;
    const what = o.alert === null ? "clock log of " + JSON.stringify(o.activity.actor) : "alert " + word("AlertType", o.alert.type) + " of " + JSON.stringify(o.alert.subject);
    throw new Fault("the log lacks the " + what + ", which entry " + o.index + " calls for", { index: o.index });
  }
}
