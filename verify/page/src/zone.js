// Compares a period with the browser's own table of zones: whoever writes the offsets
// of a question could shift the period, or the local times in the file.

import { parsePeriodText } from "./time.js";

const SECOND_NS = 1000000000n, WEEK_SECONDS = 7 * 86400, AROUND = 366 * 86400; // seconds: how far around a period its offsets are told
const MOST_LOOKS = 4000;

/** What gives the offset of a zone, in seconds east of UTC, at Unix seconds. Throws a RangeError where the browser knows no such zone. */
function zoneClock(zone) {
  const format = new Intl.DateTimeFormat("en-US-u-ca-gregory-hc-h23-nu-latn", {
    timeZone: zone, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  });
  return (seconds) => {
    const p = Object.fromEntries(format.formatToParts(new Date(seconds * 1000)).map((part) => [part.type, Number(part.value)]));
    return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) / 1000 - seconds;
  };
}

/** The times at which local clocks show what is given as if in UTC; where the zone leaves that out, those by the offsets around it. */
function instantsOf(local, clock) {
  const all = [clock(local - 86400), clock(local + 86400)].map((offset) => local - offset);
  const exact = all.filter((t) => t + clock(t) === local);
  return exact.length > 0 ? exact : all;
}

/** An offset as +hh:mm, with seconds where it has some. */
function zoneOffsetText(seconds) {
  const at = Math.abs(seconds), two = (n) => String(n).padStart(2, "0");
  return (seconds < 0 ? "-" : "+") + two(Math.floor(at / 3600)) + ":" + two(Math.floor(at / 60) % 60) + (at % 60 === 0 ? "" : ":" + two(at % 60));
}

/** The first time at which the period's own offsets are not those of the zone; null: none was found. */
function firstDifference(period, clock, start, end) {
  const offsets = period.Offsets.map((o) => ({ from: Number(o.fromNS / SECOND_NS), seconds: o.Seconds }));
  const own = (t) => (offsets.findLast((o) => o.from <= t) ?? offsets[0]).seconds;
  const lo = start - AROUND, hi = end + AROUND, looks = [];
  for (const o of offsets) looks.push(o.from - 1, o.from);
  for (let t = lo; t < hi; t += Math.max(WEEK_SECONDS, Math.ceil((hi - lo) / MOST_LOOKS))) looks.push(t);
  return looks.filter((t) => t >= lo && t < hi).sort((a, b) => a - b).find((t) => clock(t) !== own(t)) ?? null;
}

/**
 * What to say where a period may have been shifted; empty: its bounds and local
 * times are those of its zone, looked at where its own offsets change and once a week. The browser's table may be of another year than the
 * one it was asked with, so that a difference is for people to look at.
 * @param {object|null} period of parseQuestion
 */
export function zoneCaution(period) {
  if (period === null || period.Zone === "UTC") return "";
  let clock;
  try {
    clock = zoneClock(period.Zone);
  } catch (err) {
    if (!(err instanceof RangeError)) throw err;
    return `this browser has no zone ${JSON.stringify(period.Zone)}: whether the period's bounds and the local times in the file are those of the zone was not compared; daybook-verify has a table of its own`;
  }
  const caution = "period or local times may have been shifted: by this browser's table of zones, ";
  const start = Number(period.startNS / SECOND_NS), end = Number(period.endNS / SECOND_NS), named = parsePeriodText(period.Text);
  for (const [local, at, name] of named.absolute ? [] : [[named.start, start, period.Start], [named.end, end, period.End]]) {
    const instants = instantsOf(Number(local), clock);
    if (!instants.includes(at)) return `${caution}a bound of ${period.Text} in ${period.Zone} is ${unixZulu(instants[0])}, not ${name}`;
  }
  const at = firstDifference(period, clock, start, end);
  if (at === null) return "";
  const o = period.Offsets.findLast((x) => Number(x.fromNS / SECOND_NS) <= at) ?? period.Offsets[0];
  return `${caution}clocks in ${period.Zone} are at ${zoneOffsetText(clock(at))} at ${unixZulu(at)}, not at ${zoneOffsetText(o.Seconds)}`;
}

function unixZulu(seconds) {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
