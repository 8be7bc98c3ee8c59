// What an access shows beside its verdict.

import { concat, hex } from "./bytes.js";
import { readClock } from "./detectclock.js";
import { clip, rests } from "./detecttext.js";
import { reserved } from "./map.js";
import { sha256 } from "./sha256.js";
import { VERDICT, word } from "./words.js";

const MAX_CREDENTIALS = 1 << 16, MAX_KEYS = 1 << 16, MAX_PAIRS = 1 << 14, MAX_SUBJECTS = 1 << 12, MAX_CROSSINGS = 1 << 18;
const BACKFILLED = 3; // of Provenance

/** Judges an access. */
export function detectAccess(d, e, grounds, version) {
  useCredential(d, e);
  if (version === null) return;
  readClock(d, e);
  switch (e.place.verdict) {
    case VERDICT.authorized: useGrounds(d, grounds); break;
    case VERDICT.undeclared: findUndeclared(d, e, version); break;
    case VERDICT.forbidden: findForbidden(d, e, version); break;
    case VERDICT.unmapped: findUnmapped(d, e, version); break;
    case VERDICT.revoked: findRevoked(d, e, grounds.Approval); break;
  }
  if (e.message.correlation_id.length > 0 && e.place.side !== 0) reportCrossing(d, e, grounds);
}

/** Looks for a credential in two domains. */
function useCredential(d, e) {
  const fingerprint = e.message.actor?.credential?.hmac_sha256, source = e.place.source;
  if (fingerprint === undefined || fingerprint.length !== 32) return;
  const id = hex(fingerprint), c = d.credentials.get(id);
  if ((c !== undefined && (c.told || c.domain === source)) || reserved(source)) return;
  if (c === undefined) {
    if (d.credentials.size < MAX_CREDENTIALS) d.credentials.set(id, { domain: source, first: e.place.index, told: false });
    else d.overflow(e, "over " + MAX_CREDENTIALS + " credentials on one day: further ones are not looked at");
    return;
  }
  c.told = true;
  d.raise(e, d.from.name, "credential-reuse", {
    subject: "credential " + id, source: c.domain, target: source, entries: rests(c.first, e.place.index),
    detail: "one credential was used from " + c.domain + ", then from " + source + ": each domain has its own credentials",
  });
}

/** Looks for a producer's key in two producers. A zero fingerprint is no key. */
export function meetKey(d, e) {
  const { key_fingerprint: key, producer } = e.head;
  if (key.every((b) => b === 0)) return;
  const id = hex(key), k = d.keys.get(id);
  if (k === undefined) {
    if (d.keys.size < MAX_KEYS) d.keys.set(id, { producer, first: e.place.index, day: d.day, told: 0n });
    else d.overflow(e, "over " + MAX_KEYS + " producer keys within 31 days: further ones are not looked at");
    return;
  }
  k.day = d.day;
  if (k.producer === producer || k.told === d.day) return;
  k.told = d.day;
  d.raise(e, d.from.name, "key-reuse", {
    subject: "key " + id, entries: rests(k.first, e.place.index),
    detail: "producers " + k.producer + " and " + producer + " use one key: whoever has it speaks for both",
  });
}

/** Notes a name in a table; false: it is there already, or there is no room. */
function once(d, e, table, name, limit, words) {
  if (table.has(name)) return false;
  if (table.size < limit) {
    table.add(name);
    return true;
  }
  d.overflow(e, words);
  return false;
}

function crossingName(e) {
  return e.place.source + " -> " + e.place.target;
}

/** Raises an alert about the pair of an access. */
function raisePair(d, e, type, subject, entries, detail) {
  d.raise(e, d.from.name, type, { subject, source: e.place.source, target: e.place.target, entries, detail });
}

function findUndeclared(d, e, version) {
  if (!once(d, e, d.undeclared, e.place.source + "\0" + e.place.target, MAX_PAIRS, "over " + MAX_PAIRS + " undeclared pairs under one map: further ones are not told of")) return;
  raisePair(d, e, "undeclared-flow", crossingName(e) + " under map " + version.Index, rests(version.Index, e.place.index),
    "no flow of the domain map declares what this access did; it is the first of its pair under this map");
}

function findForbidden(d, e, version) {
  if (!once(d, e, d.forbidden, e.place.source + "\0" + e.place.target, MAX_SUBJECTS, "over " + MAX_SUBJECTS + " forbidden pairs on one day: further ones are not told of")) return;
  const tier = (id) => word("Tier", version.map.domain(id)?.tier ?? 0);
  raisePair(d, e, "forbidden-tier", crossingName(e), rests(version.Index, e.place.index),
    "an access from " + tier(e.place.source) + " to " + tier(e.place.target) + " was not denied: no flow may permit it");
}

function findUnmapped(d, e, version) {
  const sides = [[e.place.source, e.message.source.domain, "source"], [e.place.target, e.message.target.domain, "target"]];
  for (const [id, sent, what] of sides) {
    const name = clip(sent, 2048);
    if (version.map.domain(id) !== null) continue;
    if (!once(d, e, d.unmapped, name, MAX_SUBJECTS, "over " + MAX_SUBJECTS + " names that the map does not know on one day: further ones are not told of")) continue;
    raisePair(d, e, "unmapped", name, rests(e.place.index), "the domain map has no domain of this name, which stands as the " + what + " of an access");
  }
}

function findRevoked(d, e, a) {
  if (a === null || !once(d, e, d.revoked, String(a.Index), MAX_SUBJECTS, "over " + MAX_SUBJECTS + " revoked approvals used on one day: further ones are not told of")) return;
  const on = a.Revocation === 0n ? [] : [a.Revocation - 1n];
  raisePair(d, e, "revoked-use", "approval " + a.Body.id + " at " + a.Index, rests(a.Index, e.place.index, ...on),
    "an access from " + e.place.source + " to " + e.place.target + " rests on it after its revocation");
}

/** Notes an authorized access. */
function useGrounds(d, grounds) {
  const use = grounds.Flow === null ? undefined : d.flows.get(grounds.Flow.id);
  if (use !== undefined && use.since < d.day) use.since = d.day, use.told = false;
  const a = grounds.Approval === null ? undefined : d.approvals.get(grounds.Approval.Index);
  if (a !== undefined) a.used = true;
}

/** The sides that a flow expects, as bits. */
export function observersOf(f) {
  return f.observers.reduce((want, side) => (side >= 1n && side <= 4n ? want | (1 << Number(side)) : want), 0);
}

/** A correlation id as a key of one length. */
function crossingId(id) {
  return id.length <= 31 ? hex(concat(Uint8Array.of(id.length), id)) : "ff" + hex(sha256(id).subarray(0, 31));
}

/** Counts a report of a crossing. One that was denied has no flow: it counts for a crossing of its pair that another side allowed. */
function reportCrossing(d, e, grounds) {
  const side = e.place.side, f = grounds.Flow;
  let want = 0, pair = null;
  if (f !== null) {
    want = observersOf(f);
    if (((want >> side) & 1) === 0) return;
    pair = f.from + "\0" + f.to;
  } else if (e.place.verdict === VERDICT.denied) {
    pair = e.place.source + "\0" + e.place.target;
  }
  const p = pair === null ? undefined : d.observed.get(pair);
  if (p === undefined || !p.expected || side > 4) return;
  const key = crossingId(e.message.correlation_id) + "\0" + pair;
  let c = d.crossings.get(key);
  if (c === undefined) {
    if (d.crossings.size >= MAX_CROSSINGS) return d.overflow(e, "over " + MAX_CROSSINGS + " crossings wait for a report: further ones are not looked at");
    c = { pair: p, first: e.place.index, time: waitsFrom(e), want: 0, reports: [0, 0, 0, 0, 0] };
    d.crossings.set(key, c);
    p.open++;
  }
  c.want |= want;
  if (c.reports[side] < 255) c.reports[side]++;
  if (!isComplete(c)) return;
  p.open--;
  d.crossings.delete(key);
}

/** When the other reports of a crossing begin to be waited for. */
function waitsFrom(e) {
  const logged = e.head.log_time_ns, occurred = e.message.occurred_at_ns;
  return e.head.provenance === BACKFILLED || occurred > logged ? logged : occurred;
}

/** Whether all expected sides have reported equally often. */
function isComplete(c) {
  const counts = c.reports.filter((_, side) => (c.want >> side) & 1);
  return counts.length > 0 && counts[0] > 0 && counts.every((n) => n === counts[0]);
}
