// An entry: batch head, entry head and body, each marshalled once.

import { concat, equal, utf8, hex } from "./bytes.js";
import { Fault, Newer } from "./errors.js";
import { decode, decodeBatchHead, inField } from "./proto.js";
import { sha256 } from "./sha256.js";
import { KIND, word } from "./words.js";

const MAX_BODY = 61440, MAX_HEADS = 4000, MAX_DOMAIN = 63;
const MAX_MAP_DOCUMENT = 16 << 20;
const DAY_NS = 86400n * 1000000000n;
const LATENESS_NS = 300n * 1000000000n;
const BACKFILL = 3;

const bodyMessages = {
  "origin-opened": "OriginOpened", access: "Event", declined: "Declined", gap: "Gap", "run-opened": "RunOpened",
  "run-resumed": "RunResumed", "run-heartbeat": "RunHeartbeat", "run-ended": "RunEnded", "domain-map": "DomainMap",
  approval: "Approval", revocation: "Revocation", alert: "Alert", close: "Close", activity: "Activity",
  "key-rotation": "KeyRotation", succession: "Succession", hold: "Hold", release: "Release", disposal: "Disposal", part: "Part",
};

/** The three parts of an entry, which alias b. */
function splitEntry(b) {
  const parts = [];
  let pos = 0;
  for (let i = 1; i <= 3; i++) {
    const name = ["head", "place", "body"][i - 1];
    if (pos === b.length) throw new Fault("field " + name + ": missing");
    if (b[pos] !== ((i << 3) | 2)) throw tagFault(b, pos, name);
    const [n, at] = length(b, pos + 1, name);
    if (n > b.length - at) throw new Fault("byte " + (pos + 1) + ", field " + name + ": length past the end");
    parts.push(b.subarray(at, at + n));
    pos = at + n;
  }
  if (pos !== b.length) throw tagFault(b, pos, "");
  const body = parts[2].length;
  if (body === 0) throw new Fault("field body: missing");
  if (body > MAX_BODY) throw new Fault("field body: too long: " + body + ", limit " + MAX_BODY);
  if (b.length - body > MAX_HEADS) throw new Fault("field head: too long: " + (b.length - body) + ", limit " + MAX_HEADS);
  return parts;
}

/** A minimal varint at pos, as a Number, and where it ends. Over 2^35 it is a length past any end. */
function length(b, pos, name) {
  let v = 0, scale = 1;
  for (let i = 0; i < 10 && pos + i < b.length; i++, scale *= 128) {
    const c = b[pos + i];
    v += (c & 0x7f) * scale;
    if (c >= 0x80) continue;
    if ((c === 0 && i > 0) || (i === 9 && c > 1)) break;
    return [v, pos + i + 1];
  }
  throw new Fault("byte " + pos + ", field " + name + ": varint cut short, not minimal or too large");
}

/** What is wrong with the tag at pos, where the part called name was expected, or the end. */
function tagFault(b, pos, name) {
  const [tag] = length(b, pos, name);
  const wire = tag % 8, number = Math.floor(tag / 8);
  if (name !== "") return new Fault("byte " + pos + ", field " + name + ": tag " + tag + " in its place");
  if ([0, 1, 2, 5].includes(wire) && number > 3 && tag <= 0xffffffff) return new Newer("field " + number + ": unknown field");
  return new Fault("byte " + pos + ": bytes after the body");
}

/** Whether an entry of that kind takes a number of its run. */
export function takesNumber(kind) {
  switch (kind) {
    case KIND["origin-opened"]: case KIND["run-opened"]: case KIND["run-resumed"]: case KIND["run-heartbeat"]: case KIND["run-ended"]:
      return false;
  }
  return true;
}

function checkPlace(h) {
  const refuse = (name, why) => {
    throw new Fault("field place." + name + ": " + why);
  };
  const takes = takesNumber(h.kind);
  if (takes && h.number === 0n) refuse("number", "missing");
  if (!takes && h.number !== 0n) refuse("number", "not allowed");
  if (h.kind === KIND.access) return;
  if (h.side !== 0) refuse("side", "not allowed");
  if (h.late) refuse("late", "not allowed");
  if (h.verdict !== 0) refuse("verdict", "not allowed");
}

/**
 * Reads the bytes of an entry; the body only by its length. The result aliases b.
 * @param {object} before an entry that was parsed: where the batch head has the same bytes it is not parsed again
 * @returns {{head, place, headBytes, placeBytes, body, bytes}}
 */
export function parseEntry(b, before = null) {
  const [headBytes, placeBytes, body] = splitEntry(b);
  const head = before !== null && equal(headBytes, before.headBytes) ? before.head : inField("head", () => decodeBatchHead(headBytes));
  const place = inField("place", () => decode("EntryHead", placeBytes));
  checkPlace(place);
  return { head, place, headBytes, placeBytes, body, bytes: b };
}

/** Checks the body of an entry of that kind and returns its message. */
export function parseBody(kind, body) {
  if (kind === 0) throw new Fault("field kind: missing");
  const name = bodyMessages[word("Kind", kind)];
  if (name === undefined) throw new Newer("field kind: unknown value " + kind);
  if (body.length > MAX_BODY) throw new Fault("field body: too long: " + body.length + ", limit " + MAX_BODY);
  return decode(name, body);
}

/** Checks the bytes of a MapDocument and returns it. */
export function parseMapDocument(b) {
  if (b.length > MAX_MAP_DOCUMENT) throw new Fault("field document: too long: " + b.length + ", limit " + MAX_MAP_DOCUMENT);
  return decode("MapDocument", b);
}

/** Whether an access is late: no backfill, before UTC midnight of its log time and over the limit before it. */
export function isLate(provenance, occurred, logged) {
  const midnight = logged - (logged % DAY_NS);
  return provenance !== BACKFILL && occurred < midnight && BigInt.asIntN(64, logged - occurred) > LATENESS_NS;
}

/** u8 kind || u8 len || source || u8 len || target || u8 side || u8 late. */
export function streamKey(kind, source, target, side, late) {
  const s = utf8(source), t = utf8(target);
  return concat(Uint8Array.of(kind, s.length), s, Uint8Array.of(t.length), t, Uint8Array.of(side, late ? 1 : 0));
}

export function streamKeyOf(place) {
  return streamKey(place.kind, place.source, place.target, place.side, place.late);
}

/** Reads a stream key strictly: {kind, source, target, side, late}. Ids are bytes, for they may be anything. */
export function parseStreamKey(b) {
  const refuse = (why) => {
    throw new Fault("stream key: " + why);
  };
  if (b.length < 1) refuse("empty");
  const ids = [];
  let pos = 1;
  for (let i = 0; i < 2; i++) {
    if (pos >= b.length || b[pos] > b.length - pos - 1) refuse("cut short");
    if (b[pos] > MAX_DOMAIN) refuse("domain of " + b[pos] + " bytes, limit " + MAX_DOMAIN);
    ids.push(b.subarray(pos + 1, pos + 1 + b[pos]));
    pos += 1 + b[pos];
  }
  if (b.length - pos !== 2) refuse("wrong length");
  if (b[pos] > 4 || b[pos + 1] > 1) refuse("unknown side or late");
  return { kind: b[0], source: ids[0], target: ids[1], side: b[pos], late: b[pos + 1] === 1 };
}

/** The id of a domain until a map is in force, from its name's bytes. */
export function canonicalDomain(name) {
  const n = name.length > 0 && name[name.length - 1] === 0x2e ? name.length - 1 : name.length;
  const hashed = () => "x-" + hex(sha256(name).subarray(0, 16));
  if (n === 0 || n > MAX_DOMAIN) return hashed();
  let id = "";
  for (let i = 0; i < n; i++) {
    const c = String.fromCharCode(name[i]).replace(/[A-Z]/, (x) => x.toLowerCase());
    if (!/[a-z0-9.-]/.test(c)) return hashed();
    id += c;
  }
  return id;
}

/** The trust domain of a SPIFFE id; null where it is none. */
export function producerDomain(spiffe) {
  if (spiffe.length > 2048) return null;
  const m = /^spiffe:\/\/([a-z0-9.-]{1,63})((?:\/[A-Za-z0-9._-]+)+)$/.exec(spiffe);
  if (m === null || m[2].split("/").some((s) => s === "." || s === "..")) return null;
  return m[1];
}
