// What events tell of their producers' clocks.

import { compareText } from "./bytes.js";
import { clip, rests, spanText } from "./detecttext.js";
import { producerDomain } from "./entry.js";

const DEFAULT_LIMIT = 1000000000n, MOST = 1n << 62n, BACKFILL_PROVENANCE = 3;

/** What a producer's events told of its clock since the close before. */
export function newClockLog() {
  return { events: 0n, beyond: 0n, first: 0n, last: 0n, firstAt: 0n, source: "", changes: 0n, limit: 0n, offset: 0n, uncertainty: 0n, ahead: 0n };
}

/** The limit of the clock of whoever appended an entry; 0: it is not judged. */
export function clockLimitOf(e, version) {
  if (version === null || e.head.provenance === BACKFILL_PROVENANCE) return 0n;
  const name = producerDomain(e.head.producer), domain = name === null ? null : version.map.domain(version.map.resolve(name));
  const limit = domain === null || domain.clock_limit_ns === 0n ? DEFAULT_LIMIT : domain.clock_limit_ns;
  return limit < MOST ? limit : MOST;
}

const size = (n) => (n < 0n ? -n : n);

/** Judges what an event tells of its producer's clock. */
export function readClock(d, e) {
  const { clockLimit: limit, producer, name } = d.from, clock = e.message.clock;
  if (limit === 0n || producer === null) return;
  const offset = clock?.offset_ns ?? 0n, uncertainty = clock?.uncertainty_ns ?? 0n, source = clock?.source ?? "";
  const ahead = BigInt.asIntN(64, e.message.occurred_at_ns - e.head.log_time_ns);
  const beyond = ahead > limit || offset > limit || offset < -limit || uncertainty > limit;
  if (!beyond && source === "" && offset === 0n && uncertainty === 0n) return;
  if (producer.clock.events === 0n) producer.clock = { ...newClockLog(), first: e.head.log_time_ns };
  const c = producer.clock;
  c.events++;
  c.last = e.head.log_time_ns, c.limit = limit;
  if (beyond) {
    if (c.beyond === 0n) c.firstAt = e.place.index;
    c.beyond++;
  }
  if (source !== "" && c.source !== source) {
    if (c.source !== "") c.changes++;
    c.source = source;
  }
  if (size(offset) > size(c.offset)) c.offset = offset;
  if (uncertainty > c.uncertainty) c.uncertainty = uncertainty;
  if (ahead > c.ahead) c.ahead = ahead;
  if (!beyond || producer.clockTold) return;
  producer.clockTold = true;
  d.raise(e, name, "clock", {
    subject: name, entries: rests(e.place.index),
    detail: "an event of it shows a clock beyond the " + spanText(limit) + " that its domain permits: " + clockWords(offset, uncertainty, ahead),
  });
}

/** How well a clock is known, in ASCII. */
function clockWords(offset, uncertainty, ahead) {
  const known = uncertainty === 0n ? "uncertainty not known" : "uncertainty " + spanText(uncertainty < MOST ? uncertainty : MOST);
  return "offset " + spanText(offset) + ", " + known + (ahead > 0n ? ", " + spanText(ahead) + " after its log time" : "");
}

/** Makes the log owe the clock log of each producer. */
export function closeClocks(d, e) {
  const heard = [...d.producers].filter(([, p]) => p.clock.events > 0n).sort((a, b) => compareText(a[0], b[0]));
  for (const [name, p] of heard) {
    const c = p.clock;
    let words = "source " + (c.source === "" ? "not named" : c.source) + "; at worst " + clockWords(c.offset, c.uncertainty, c.ahead);
    if (c.changes > 0n) words += "; the source changed " + c.changes + " times";
    words += c.beyond > 0n ? "; " + c.beyond + " events beyond the limit of " + spanText(c.limit) + ", the first at index " + c.firstAt
      : "; the limit is " + spanText(c.limit);
    d.oweActivity(e, {
      actor: clip(name, 2048), detail: clip(words, 4096), count: c.events, first_ns: c.first, last_ns: c.last, code: c.beyond > 0n ? "beyond" : "within",
    });
    p.clock = newClockLog();
  }
}
