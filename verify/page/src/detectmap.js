// What a domain map makes the detectors look for: who is expected to report, which
// flows should be used, which hosting two tiers share.

import { compareText } from "./bytes.js";
import { dayStart } from "./close.js";
import { observersOf } from "./detectaccess.js";
import { alertType, durationText, rests } from "./detecttext.js";
import { KIND, word } from "./words.js";

const MAX_EXPECTED = 1 << 16, MAX_SHARED = 256, MOST_SILENCE = ((1n << 63n) - 1n) / 4n;

/** Takes up the map that comes into force with an entry. */
export function enterMap(d, e, version) {
  d.mapIndex = version.Index;
  d.undeclared.clear();
  observePairs(d, version);
  enterFlows(d, version);
  enterExpected(d, e, version);
  findShared(d, e, version);
}

/** Takes up the pairs whose crossings are expected to be seen. Those of which crossings wait stay. */
function observePairs(d, version) {
  for (const [key, p] of d.observed) {
    p.expected = false;
    if (p.open === 0) d.observed.delete(key);
  }
  for (const f of version.Document.flows) {
    const key = f.from + "\0" + f.to;
    if (observersOf(f) === 0) continue;
    if (!d.observed.has(key)) d.observed.set(key, { a: f.from, b: f.to, expected: false, open: 0 });
    d.observed.get(key).expected = true;
  }
}

/** Takes up the flows that a map declares, and forgets the others. */
function enterFlows(d, version) {
  const unused = version.Document.unused_days;
  for (const id of d.flows.keys()) if (unused === 0 || version.map.flow(id) === null) d.flows.delete(id);
  if (unused === 0) return;
  for (const f of version.Document.flows) {
    const since = version.LogTimeNS > f.not_before_ns ? version.LogTimeNS : f.not_before_ns;
    if (!d.flows.has(f.id)) d.flows.set(f.id, { since: dayStart(since), told: false });
  }
}

/** Takes up the producers that a map expects, and forgets the others. */
function enterExpected(d, e, version) {
  const limits = new Map(), all = version.Document.domains.flatMap((domain) => domain.producers);
  for (const p of all) {
    const limit = p.silence_limit_ns < MOST_SILENCE ? p.silence_limit_ns : MOST_SILENCE, had = limits.get(p.id);
    if (limit > 0n && (had === undefined || limit < had)) limits.set(p.id, limit);
  }
  for (const id of d.expected.keys()) if (!limits.has(id)) d.expected.delete(id);
  for (const { id } of all) {
    const limit = limits.get(id);
    if (limit === undefined) continue;
    if (!d.expected.has(id)) {
      if (d.expected.size >= MAX_EXPECTED) {
        d.overflow(e, "over " + MAX_EXPECTED + " expected producers: silence of further ones is not looked at");
        continue;
      }
      d.expected.set(id, { limit: 0n, last: 0n, at: 0n, told: false });
    }
    const x = d.expected.get(id);
    if (x.limit !== limit) x.limit = limit, x.last = e.head.log_time_ns, x.at = e.place.index + 1n, x.told = false;
  }
  d.due = nextDue(d);
}

const silentFrom = (d, x) => (x.last > d.since ? x.last : d.since);

function nextDue(d) {
  let due = null;
  for (const x of d.expected.values()) {
    const at = silentFrom(d, x) + x.limit;
    if (!x.told && (due === null || at < due)) due = at;
  }
  return due ?? 0n;
}

/** Looks for silence that the log time of an entry shows, before the entry itself is heard. */
export function findSilence(d, e) {
  excuseAll(d, e);
  const now = e.head.log_time_ns;
  if (d.due === 0n || now <= d.due) return;
  const silent = [...d.expected].filter(([, x]) => !x.told && now - silentFrom(d, x) > x.limit).sort((a, b) => {
    const at = silentFrom(d, a[1]) + a[1].limit, bt = silentFrom(d, b[1]) + b[1].limit;
    return at === bt ? compareText(a[0], b[0]) : at < bt ? -1 : 1;
  });
  for (const [id, x] of silent) {
    const from = silentFrom(d, x);
    x.told = true;
    d.raise(e, id, "silence", {
      subject: id, period_start_ns: from, period_end_ns: from + x.limit, entries: [x.at],
      detail: "the domain map expects it to report, and it had no entry for longer than the " + durationText(x.limit) + " that it may be silent",
    });
  }
  d.due = nextDue(d);
}

/** Lets no silence count before an entry that says that the ledger took nothing until then. */
function excuseAll(d, e) {
  const kind = e.place.kind;
  if (kind === KIND["origin-opened"]) d.origin = e.head.producer;
  if (kind === KIND["run-opened"] && e.head.producer === d.origin) d.since = e.head.log_time_ns;
  if (kind === KIND.alert && e.message.type === alertType("ledger-clock") && e.message.period_end_ns > d.since) d.since = e.message.period_end_ns;
}

/** Notes an entry of whoever is expected. */
export function hearExpected(d, e) {
  const x = d.from.expected;
  if (x === null || x === undefined) return;
  const due = e.head.log_time_ns + x.limit;
  if (x.told) {
    x.told = false;
    if (d.due === 0n || due < d.due) d.due = due;
  }
  x.last = e.head.log_time_ns, x.at = e.place.index + 1n;
}

/** Looks for hosting that two tiers share. */
function findShared(d, e, version) {
  const hosts = new Map();
  for (const domain of version.Document.domains) {
    const h = domain.hosting;
    if (h === null || h.account === "") continue;
    const key = h.account + "\0" + h.network, tier = word("Tier", domain.tier);
    if (!hosts.has(key)) hosts.set(key, { name: h.account + (h.network === "" ? "" : "/" + h.network), tiers: new Set(), domains: [] });
    hosts.get(key).tiers.add(tier);
    hosts.get(key).domains.push(domain.id + " (" + tier + ")");
  }
  let n = 0;
  for (const t of hosts.values()) {
    if (t.tiers.size < 2) continue;
    if (++n > MAX_SHARED) return d.overflow(e, "over " + MAX_SHARED + " hosting accounts are shared by two tiers: further ones are not told of");
    d.raise(e, "", "shared-hosting", {
      subject: "hosting " + t.name + " under map " + version.Index, entries: rests(version.Index), detail: "two tiers share it: " + t.domains.join(", "),
    });
  }
}
