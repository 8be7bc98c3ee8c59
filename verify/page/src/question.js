// The question that a bundle answers.

import { compare, compareText, text, MAX_SIZE, utf8 } from "./bytes.js";
import { parseStreamKey, streamKey } from "./entry.js";
import { Fault, Newer } from "./errors.js";
import { fieldsOf, parseDocument } from "./json.js";
import { parsePeriodText, parseTime, yearOf } from "./time.js";
import { enumNumber, word } from "./words.js";

const FORMAT = "daybook-question/v1";
const MAX_TEXT = 256, MAX_STREAMS = 10000, MAX_OFFSETS = 1000, MAX_QUESTION = 4 << 20, MAX_NAMED_DOMAIN = 63;
const SECOND = 1000000000n;
const REPORTED = 86400n * SECOND; // how long before an access its report can be in the log
const FOREVER = [-(1n << 63n), (1n << 63n) - 1n];
const WESTMOST = -12n * 3600n, EASTMOST = 14n * 3600n; // seconds: local time was never further from UTC since 1970
const YEAR_ONE = -62135596800n;

/** Reads a canonical question strictly. The result has Go's field names, and the bounds of its window. */
export function parseQuestion(b) {
  if (b.length > MAX_QUESTION) throw new Fault("question: " + b.length + " bytes, limit " + MAX_QUESTION);
  const document = parseDocument(b);
  checkFormat(document, "daybook-question/v", FORMAT, "question");
  const f = fieldsOf(document, {
    format: "string!", case: "string", item: "string", asked_by: "string", recipient: "string", from: "object", to: "object",
    streams: "list", range: "object", log: "true", period: "object",
  }, "question");
  const q = {
    Format: f.format, Case: f.case, Item: f.item, AskedBy: f.asked_by, Recipient: f.recipient,
    From: parseSelector(f.from, "from"), To: parseSelector(f.to, "to"),
    Streams: f.streams ?? [], Range: parseRange(f.range), Log: f.log === true, Period: parsePeriod(f.period),
  };
  for (const key of ["Case", "Item", "AskedBy", "Recipient"]) checkText(q[key], key);
  checkScope(q, f.from !== null || f.to !== null);
  return q;
}

/** Refuses another format, a later one as such. */
export function checkFormat(document, prefix, format, what) {
  const got = document instanceof Map ? document.get("format") : undefined;
  if (typeof got === "string" && got.startsWith(prefix) && got !== format) throw new Newer(what + " of format " + got.slice(0, 40));
  if (got !== format) throw new Fault(what + ": format is not " + format);
}

function checkText(s, name) {
  if (utf8(s).length > MAX_TEXT) throw new Fault("question: " + name + ": over " + MAX_TEXT + " bytes");
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(s)) throw new Fault("question: " + name + ": has a control character");
}

function parseSelector(object, name) {
  if (object === null) return { Domain: "", Tier: "", Function: "", Owner: "" };
  const f = fieldsOf(object, { domain: "string", tier: "string", function: "string", owner: "string" }, "question: " + name);
  for (const key of ["domain", "function", "owner"]) checkText(f[key], name + "." + key);
  if (f.tier !== "" && enumNumber("Tier", f.tier) === 0) throw new Fault("question: " + name + ": tier " + JSON.stringify(f.tier.slice(0, 40)) + " is none");
  return { Domain: f.domain, Tier: f.tier, Function: f.function, Owner: f.owner };
}

function parseRange(object) {
  if (object === null) return null;
  const f = fieldsOf(object, { first: "uint!", end: "uint!" }, "question: range");
  if (f.first >= f.end || f.end > MAX_SIZE) throw new Fault("question: range [" + f.first + ", " + f.end + ") is none");
  return { First: f.first, End: f.end };
}

function parsePeriod(object) {
  if (object === null) return null;
  const f = fieldsOf(object, { text: "string!", zone: "string!", by: "string!", start: "string!", end: "string!", offsets: "list!" }, "question: period");
  for (const key of ["text", "zone"]) {
    checkText(f[key], "period." + key);
    if (f[key] === "") throw new Fault("question: period." + key + " is missing");
  }
  if (f.by !== "logged" && f.by !== "occurred") throw new Fault("question: period.by is neither logged nor occurred");
  const start = parseTime(f.start), end = parseTime(f.end);
  if (start === null || end === null || start >= end || yearOf(start) < 1970 || yearOf(end) > 2200) throw new Fault("question: period is none");
  const offsets = f.offsets.map((o) => fieldsOf(o, { from: "string!", seconds: "int!", name: "string!" }, "question: period.offsets"));
  checkOffsets(offsets, f.zone);
  checkBounds(f.text, start, end, offsets);
  return {
    Text: f.text, Zone: f.zone, By: f.by, Start: f.start, End: f.end, startNS: start * SECOND, endNS: end * SECOND,
    Offsets: offsets.map((o) => ({ From: o.from, Seconds: Number(o.seconds), Name: o.name, fromNS: parseTime(o.from) * SECOND })),
  };
}

/** The text names the period, in the zone whose offsets these are. */
function checkBounds(text, start, end, offsets) {
  const named = parsePeriodText(text);
  if (named === null) throw new Fault("question: period " + JSON.stringify(text.slice(0, 80)) + " is none");
  const fits = (at, local) => (named.absolute ? at === local : isLocal(at, local, offsets));
  if (!fits(start, named.start) || !fits(end, named.end)) throw new Fault("question: period " + JSON.stringify(text.slice(0, 80)) + " has other bounds");
}

/**
 * Whether a time is that at which local clocks show what is given as if in UTC.
 * Where the zone leaves that out, any of its offsets serves.
 */
function isLocal(at, local, offsets) {
  let exists = false, serves = false;
  for (const o of offsets) {
    const t = local - o.seconds;
    const inForce = offsets.findLast((x, i) => i === 0 || BigInt.asIntN(64, parseTime(x.from) * SECOND) <= BigInt.asIntN(64, t * SECOND));
    if (inForce.seconds === o.seconds) {
      exists = true;
      if (t === at) return true;
    }
    serves ||= t === at;
  }
  return !exists && serves;
}

function checkOffsets(offsets, zone) {
  const refuse = (why) => {
    throw new Fault("question: period.offsets: " + why);
  };
  if (offsets.length === 0 || offsets.length > MAX_OFFSETS) refuse("there are " + offsets.length);
  if (zone === "UTC" && (offsets.length > 1 || offsets[0].seconds !== 0n)) refuse("not those of UTC");
  let last = null;
  for (const o of offsets) {
    const from = parseTime(o.from);
    if (from === null || (last === null ? from !== YEAR_ONE : from <= last)) refuse("the first is from year 1, they ascend");
    if (o.seconds < WESTMOST || o.seconds > EASTMOST) refuse("those of no zone");
    checkText(o.name, "period.offsets.name");
    if (o.name === "" || utf8(o.name).length > 32) refuse("without a name");
    last = from;
  }
}

function checkScope(q, selected) {
  const scopes = [selected, q.Streams.length > 0, q.Range !== null, q.Log].filter((set) => set).length;
  if (scopes > 1) throw new Fault("question: more than one of from and to, streams, range, log");
  if ((q.Range !== null || q.Log) && q.Period !== null) throw new Fault("question: a range and a whole log have no period");
  if (q.Streams.length > MAX_STREAMS) throw new Fault("question: " + q.Streams.length + " streams, limit " + MAX_STREAMS);
  let last = new Uint8Array(0);
  q.streamKeys = q.Streams.map((s) => {
    const key = parseStreamName(s);
    if (compare(key, last) <= 0) throw new Fault("question: stream " + s + " does not come after the one before");
    return (last = key);
  });
}

/** The key of a stream by its name, `<kind>,<source>,<target>[,<side>][,late]`, strictly. */
export function parseStreamName(s) {
  const bad = () => new Fault("question: stream " + JSON.stringify(String(s).slice(0, 200)) + " is none");
  if (typeof s !== "string") throw bad();
  const f = s.split(",");
  if (f.length < 3 || f.length > 5 || f.slice(1, 3).some((id) => utf8(id).length > MAX_NAMED_DOMAIN)) throw bad();
  const kind = enumNumber("Kind", f[0]);
  const side = f.slice(3).map((w) => enumNumber("Side", w)).findLast((n) => n !== 0) ?? 0;
  const key = streamKey(kind, f[1], f[2], side, f.slice(3).includes("late"));
  if (kind === 0 || formatStreamName(key) !== s) throw bad();
  return key;
}

/** Names a stream. */
export function formatStreamName(key) {
  const k = parseStreamKey(key);
  return [word("Kind", k.kind), text(k.source), text(k.target), word("Side", k.side), k.late ? "late" : ""].filter((w, i) => i < 3 || w !== "").join(",");
}

/** The window of log times in which the answers are, [lo, hi). */
export function loggedWindow(q) {
  if (q.Period === null) return FOREVER;
  return q.Period.By === "occurred" ? [q.Period.startNS - REPORTED, FOREVER[1]] : [q.Period.startNS, q.Period.endNS];
}

/** Whether an access that occurred at ns is asked for. */
export function occurredIn(q, ns) {
  return q.Period === null || q.Period.By !== "occurred" || (ns >= q.Period.startNS && ns < q.Period.endNS);
}

/** Whether a domain is one that a selector names. The words that are not set hold. */
export function selects(selector, domain, named) {
  return (selector.Domain === "" || named) && (selector.Tier === "" || word("Tier", domain.tier) === selector.Tier) &&
    (selector.Function === "" || domain.function === selector.Function) && (selector.Owner === "" || domain.owner === selector.Owner);
}

/** Whether a selector names every domain. */
export function selectsAll(s) {
  return s.Domain === "" && s.Tier === "" && s.Function === "" && s.Owner === "";
}

/** Sorted ids, each once. */
export function distinctIds(ids) {
  return [...new Set(ids)].sort(compareText);
}
