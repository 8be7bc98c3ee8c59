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
