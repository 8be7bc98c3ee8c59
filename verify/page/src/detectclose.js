// What is judged at a close, over the entries before it.

import { compareText } from "./bytes.js";
import { closeClocks } from "./detectclock.js";
import { rests } from "./detecttext.js";
import { formatNano } from "./time.js";

const LATENESS = 300n * 1000000000n, CLOSE_DAY = 86400n * 1000000000n;
const MAX_AT_CLOSE = 256, MAX_OPEN_APPROVALS = 1 << 16, MAX_NAMED = 256;

/** Takes up an approval of an actor or a flow. */
export function detectApproval(d, e) {
  const m = e.message;
  if (m.subject !== 1 && m.subject !== 2) return;
  if (d.approvals.size >= MAX_OPEN_APPROVALS) {
    return d.overflow(e, "over " + MAX_OPEN_APPROVALS + " approvals are not over: whether further ones are used is not looked at");
  }
  d.approvals.set(e.place.index, { id: m.id, from: m.from, to: m.to, notAfter: m.not_after_ns, revocation: 0n, revoked: 0n, used: false });
}

export function detectRevocation(d, e) {
  const a = d.approvals.get(e.message.approval - 1n);
  if (a !== undefined) a.revocation = e.place.index + 1n, a.revoked = e.head.log_time_ns;
}

/** Judges what is judged at a close. */
export function detectClose(d, e, version) {
  const m = e.message;
  if (m.period_end_ns <= m.period_start_ns) return;
  d.cuts = [d.cuts[1], m.cut];
  closeCrossings(d, e, m);
  closeApprovals(d, e, m);
  closeFlows(d, e, m, version);
  closeClocks(d, e);
}

const period = (m) => ({ period_start_ns: m.period_start_ns, period_end_ns: m.period_end_ns });

/** Looks for approvals that are over unused, and forgets those that are over. */
function closeApprovals(d, e, m) {
  const end = m.period_end_ns - LATENESS;
  const over = [...d.approvals].filter(([, a]) => (a.notAfter !== 0n && a.notAfter <= end) || (a.revocation !== 0n && a.revoked <= end));
  let n = 0;
  for (const [index, a] of over.sort((x, y) => (x[0] < y[0] ? -1 : 1))) {
    d.approvals.delete(index);
    if (a.used) continue;
    if (++n > MAX_AT_CLOSE) {
      d.overflow(e, "over " + MAX_AT_CLOSE + " approvals ended unused at one close: further ones are not told of");
      continue;
    }
    const revoked = a.revocation !== 0n;
    d.raise(e, "", "approval-unused", {
      subject: "approval " + a.id + " at " + index, source: a.from, target: a.to, ...period(m), entries: revoked ? rests(index, a.revocation - 1n) : rests(index),
      detail: (revoked ? "it was revoked" : "its validity is over") + ", and no authorized access rests on it",
    });
  }
}

/** Looks for flows that nobody used. */
function closeFlows(d, e, m, version) {
  const days = version?.Document.unused_days ?? 0;
  if (days === 0) return;
  const limit = (BigInt(days) + 1n) * CLOSE_DAY;
  const unused = [...d.flows].filter(([, f]) => !f.told && m.period_end_ns - f.since >= limit).sort((a, b) => compareText(a[0], b[0]));
  let n = 0;
  for (const [id, use] of unused) {
    const f = version.map.flow(id);
    if (f === null || (f.not_after_ns !== 0n && f.not_after_ns <= m.period_end_ns)) continue;
    if (++n > MAX_AT_CLOSE) return d.overflow(e, "over " + MAX_AT_CLOSE + " flows are unused at one close: further ones are told of at the next closes");
    use.told = true;
    d.raise(e, "", "flow-unused", {
      subject: "flow " + f.id, source: f.from, target: f.to, period_start_ns: use.since, period_end_ns: use.since + limit, entries: rests(version.Index),
      detail: "no authorized access for " + days + " days, since " + formatNano(use.since).slice(0, 10) + ": it may be withdrawn",
    });
  }
}

/** The expected sides that have not reported. */
function missingSides(c) {
  return [1, 2, 3, 4].filter((side) => (c.want >> side) & 1 && c.reports[side] === 0);
}

/** Looks for crossings that too few sides reported, and forgets those that were judged. */
function closeCrossings(d, e, m) {
  const judged = [...d.crossings].filter(([, c]) => c.time <= m.period_end_ns - LATENESS).sort((a, b) => (a[1].first < b[1].first ? -1 : 1));
  const pairs = new Map();
  for (const [key, c] of judged) {
    c.pair.open--;
    d.crossings.delete(key);
    if (missingSides(c).length === 0) continue;
    if (!pairs.has(c.pair)) pairs.set(c.pair, []);
    pairs.get(c.pair).push(c);
  }
  let n = 0;
  for (const [pair, crossings] of pairs) {
    if (n++ < MAX_AT_CLOSE) d.raise(e, "", "one-sided", oneSided(pair, crossings, m));
    else d.overflow(e, "over " + MAX_AT_CLOSE + " pairs have one-sided crossings at one close: further ones are not told of");
  }
}

/** The alert of the crossings of one pair, whose first reports ascend. */
function oneSided(pair, crossings, m) {
  const on = crossings.slice(0, MAX_NAMED).map((c) => c.first), names = ["", "source", "target", "gateway", "collector"];
  const lacking = names.map((name, side) => [name, crossings.filter((c) => missingSides(c).includes(side)).length]).filter(([, n]) => n > 0);
  return {
    subject: "crossings " + pair.a + " -> " + pair.b, source: pair.a, target: pair.b, ...period(m), entries: rests(...on),
    detail: crossings.length + " crossings were not reported by every side that their flow expects: " + lacking.map(([name, n]) => n + " lack the " + name + "'s").join(", ") +
      "; entries are the first " + on.length + " reports",
  };
}
