// Times as an examination file writes them: RFC 3339 in UTC, to the second.

const timePattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/;

/** Days from 1970-01-01 to a date of the Gregorian calendar, as far back as it is continued. */
function daysOf(year, month, day) {
  const y = month <= 2 ? year - 1 : year, era = Math.floor(y / 400), of = y - era * 400;
  const d = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + of * 365 + Math.floor(of / 4) - Math.floor(of / 100) + d - 719468;
}

function monthDays(year, month) {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
}

/** Seconds since 1970 of such a text, as a BigInt; null where it is none. Year 0 is a year. */
export function parseTime(s) {
  const m = timePattern.exec(s);
  if (m === null) return null;
  const [year, month, day, hour, minute, second] = m.slice(1).map(Number);
  if (month < 1 || month > 12 || day < 1 || day > monthDays(year, month) || hour > 23 || minute > 59 || second > 59) return null;
  return BigInt(daysOf(year, month, day)) * 86400n + BigInt(hour * 3600 + minute * 60 + second);
}

/** The year of seconds since 1970. */
export function yearOf(seconds) {
  let year = 1970 + Number(seconds / 31556952n);
  while (BigInt(daysOf(year, 1, 1)) * 86400n > seconds) year--;
  while (BigInt(daysOf(year + 1, 1, 1)) * 86400n <= seconds) year++;
  return year;
}

/** Seconds since 1970 of the midnight that begins a date; months over 12 and days over the month's run on. */
function midnight(year, month, day) {
  const months = year * 12 + month - 1;
  return BigInt(daysOf(Math.floor(months / 12), (months % 12) + 1, 1) + day - 1) * 86400n;
}

/** The year, quarter, month, week or day that a text names, in UTC: [start, end) in seconds; null: none. */
function parseSpan(text) {
  let m = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$/.exec(text);
  if (m !== null) {
    const [year, month, day] = [Number(m[1]), Number(m[2] ?? 1), Number(m[3] ?? 1)];
    if (month < 1 || month > 12 || day < 1 || day > monthDays(year, month)) return null;
    if (m[2] === undefined) return [midnight(year, 1, 1), midnight(year + 1, 1, 1)];
    return m[3] === undefined ? [midnight(year, month, 1), midnight(year, month + 1, 1)] : [midnight(year, month, day), midnight(year, month, day + 1)];
  }
  m = /^(\d{4})-Q([1-4])$/.exec(text);
  if (m !== null) return [midnight(Number(m[1]), 3 * m[2] - 2, 1), midnight(Number(m[1]), 3 * m[2] + 1, 1)];
  m = /^(\d{4})-W(\d\d)$/.exec(text);
  if (m === null || m[2] === "00") return null;
  const start = firstWeek(Number(m[1])) + BigInt(m[2] - 1) * 604800n;
  return start < firstWeek(Number(m[1]) + 1) ? [start, start + 604800n] : null;
}

/** The Monday that begins week 1 of a year: that of 4 January (ISO 8601). */
function firstWeek(year) {
  const days = daysOf(year, 1, 4);
  return BigInt(days - ((((days + 3) % 7) + 7) % 7)) * 86400n;
}

/** Seconds since 1970 of an RFC 3339 time of any offset, as Go reads it; null where it is none, or not to the second. */
function parseInstant(s) {
  const m = /^(\d{4}-\d\d-\d\dT)(\d{1,2})(:\d\d:\d\d)(?:[.,]\d+)?(?:Z|([+-])(\d\d):(\d\d))$/.exec(s);
  const at = m === null ? null : parseTime(m[1] + m[2].padStart(2, "0") + m[3] + "Z");
  if (at === null || Number(m[5] ?? 0) > 24 || Number(m[6] ?? 0) > 60 || /[.,]\d*[1-9]/.test(s.slice(0, 40))) return null;
  const offset = BigInt(Number(m[5] ?? 0) * 3600 + Number(m[6] ?? 0) * 60);
  return m[4] === "-" ? at + offset : at - offset;
}

/**
 * The period that a text names: {start, end, absolute}, in seconds; null: none.
 * Where it is not absolute, times are those of local clocks as if in UTC.
 */
export function parsePeriodText(text) {
  const i = text.indexOf(".."), a = i < 0 ? text : text.slice(0, i), from = i < 0 ? null : parseInstant(a);
  if (from !== null) {
    const until = parseInstant(text.slice(i + 2));
    return until === null ? null : { start: from, end: until, absolute: true };
  }
  const first = parseSpan(a), last = i < 0 ? first : parseSpan(text.slice(i + 2));
  return first === null || last === null ? null : { start: first[0], end: last[1], absolute: false };
}

/** A time in nanoseconds as RFC 3339 in UTC, with as many digits as it has. */
export function formatNano(ns) {
  const second = 1000000000n, part = ((ns % second) + second) % second, at = (ns - part) / second;
  const text = new Date(Number(at) * 1000).toISOString().slice(0, 19);
  return text + (part === 0n ? "" : "." + String(part).padStart(9, "0").replace(/0+$/, "")) + "Z";
}
