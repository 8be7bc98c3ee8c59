// The wire grammar of heads, bodies and domain maps: protobuf in one encoding
// only. Messages become plain objects in the same pass.

import { compareText, isUtf8, shortText } from "./bytes.js";
import { SCHEMA } from "./data.js";
import { Fault, Newer } from "./errors.js";
import { SealState } from "./seal.js";

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
const MAX_UNKNOWN = 4096; // bytes of unknown fields of an event
const NO_SEAL = -1;
const wireOf = { uint32: VARINT, uint64: VARINT, bool: VARINT, enum: VARINT, sint64: VARINT, sfixed64: FIXED64 };
const noBytes = new Uint8Array(0);

const messages = new Map(); // by name: {name, fields by number, defaults}

function messageOf(name) {
  let m = messages.get(name);
  if (m === undefined) {
    m = { name, fields: [], required: [], list: [] };
    messages.set(name, m);
    for (const f of SCHEMA.messages[name]) {
      const field = { min: 0, max: 0, items: 0, ...f, wire: wireOf[f.kind] ?? BYTES };
      if (f.packed) field.wire = BYTES;
      field.values = f.kind === "enum" ? SCHEMA.enums[f.type].length : 0;
      m.fields[f.number] = field;
      m.list.push(field);
      if (f.required) m.required.push(f.number);
    }
  }
  return m;
}

function empty(f) {
  if (f.repeated) return [];
  if (f.kind === "message") return null;
  if (f.optional) return undefined;
  switch (f.kind) {
    case "string": return "";
    case "bytes": return noBytes;
    case "bool": return false;
    case "uint32": case "enum": return 0;
  }
  return 0n;
}

/** A message of that name without a field. */
export function emptyMessage(name) {
  const out = {};
  for (const f of messageOf(name).list) out[f.name] = empty(f);
  return out;
}

function bad(at, name, why) {
  return new Fault("byte " + at + (name === "" ? "" : ", field " + name) + ": " + why);
}

function refused(name, why) {
  return new Fault("field " + name + ": " + why);
}

/** Runs fn and puts a field's name before the path of what it throws. */
export function inField(name, fn) {
  try {
    return fn();
  } catch (err) {
    if (err instanceof Error) err.message = err.message.replace("field ", "field " + name + ".");
    throw err;
  }
}

class Scanner {
  constructor(b, event) {
    this.b = b;
    this.pos = 0;
    this.event = event;
    this.unknown = 0;
    this.seal = event ? new SealState() : null;
  }

  /** A minimal varint below 2^28 as a Number, else as a BigInt. */
  varint(end, name) {
    const b = this.b, start = this.pos;
    let v = 0;
    for (let shift = 0; shift < 28 && this.pos < end; shift += 7) {
      const c = b[this.pos++];
      v |= (c & 0x7f) << shift;
      if (c < 0x80) {
        if (c === 0 && shift > 0) throw bad(start, name, "varint not minimal");
        return v;
      }
    }
    let big = BigInt(v);
    for (let shift = 28n; shift < 64n && this.pos < end; shift += 7n) {
      const c = b[this.pos++];
      if (c < 0x80) {
        if (c === 0 || (shift === 63n && c > 1)) break;
        return big | (BigInt(c) << shift);
      }
      big |= BigInt(c & 0x7f) << shift;
    }
    throw bad(start, name, "varint cut short, not minimal or too large");
  }

  /** Reads b[pos:end] as a message; top is the number of the event's field that holds it. */
  message(m, end, top) {
    const out = {};
    for (const f of m.list) out[f.name] = empty(f);
    const seen = new Set();
    let last = 0, count = 0, before = null;
    while (this.pos < end) {
      const start = this.pos, tag = this.varint(end, "tag");
      if (tag > 0xffffffff) throw bad(start, "tag", "over 32 bits");
      const num = Number(BigInt(tag) >> 3n), wire = Number(BigInt(tag) & 7n);
      if (num < last || num === 0) throw bad(start, m.fields[num]?.name ?? String(num), "out of order after field number " + last);
      const f = m.fields[num];
      if (f === undefined) {
        last = num;
        this.skip(start, num, wire, end);
        continue;
      }
      if (wire !== f.wire) throw bad(start, f.name, "wire type " + wire + ", want " + f.wire);
      if (num !== last) last = num, count = 0, before = null;
      else if (!f.repeated || f.packed) throw bad(start, f.name, "singular field repeated");
      seen.add(num);
      if (f.wire !== BYTES) {
        out[f.name] = this.scalar(f, end);
        continue;
      }
      count++;
      const value = this.delimited(f, num, end, top, count, before);
      if (f.ascends && !f.packed) before = value;
      if (f.repeated && !f.packed) out[f.name].push(value);
      else out[f.name] = value;
    }
    this.missing(m, seen, top);
    return out;
  }

  missing(m, seen, top) {
    const absent = m.required.filter((n) => !seen.has(n));
    if (this.event && top !== NO_SEAL) {
      this.seal.note(top, m, seen, absent);
    } else if (absent.length > 0) {
      throw refused(m.fields[absent[0]].name, "missing");
    }
  }

  scalar(f, end) {
    const at = this.pos;
    if (f.wire === FIXED64) {
      if (end - at < 8) throw bad(at, f.name, "cut short");
      this.pos += 8;
      const v = new DataView(this.b.buffer, this.b.byteOffset + at, 8).getBigInt64(0, true);
      if (v === 0n && !f.optional) throw bad(at, f.name, "zero value written");
      return v;
    }
    const v = this.varint(end, f.name);
    if (v === 0 && !f.optional) throw bad(at, f.name, "zero value written");
    switch (f.kind) {
      case "uint32":
        if (v > 0xffffffff) throw bad(at, f.name, "number out of range");
        return Number(v);
      case "bool":
        if (v > 1) throw bad(at, f.name, "number out of range");
        return v === 1;
      case "enum":
        if (v < f.values) return v;
        if (v > 0x7fffffff) throw bad(at, f.name, "number out of range");
        if (this.event) throw refused(f.name, "unknown value " + v);
        throw new Newer("field " + f.name + ": unknown value " + v);
      case "sint64": {
        const z = BigInt(v);
        return BigInt.asIntN(64, (z >> 1n) ^ -(z & 1n));
      }
    }
    return BigInt(v);
  }

  delimited(f, num, end, top, count, before) {
    const at = this.pos, n = this.varint(end, f.name);
    if (n > end - this.pos) throw bad(at, f.name, "length past the end");
    const from = this.pos, to = from + Number(n);
    if (f.repeated && !f.packed && count > f.items) throw refused(f.name, "too many: " + count + ", limit " + f.items);
    if (f.packed) return this.packed(f, to);
    if (f.kind === "message") return this.sub(f, num, to, top, count, before);
    this.pos = to;
    if (to === from && !f.repeated && !f.optional) throw bad(at, f.name, "zero value written");
    if (f.max !== 0 && to - from > f.max) throw refused(f.name, "too long: " + (to - from) + ", limit " + f.max);
    if (to - from < f.min) throw refused(f.name, "too short: " + (to - from) + ", limit " + f.min);
    if (f.kind === "bytes") return this.b.subarray(from, to);
    if (!isUtf8(this.b, from, to)) throw refused(f.name, "not UTF-8");
    return shortText(this.b, from, to);
  }

  sub(f, num, end, top, count, before) {
    const name = f.repeated ? f.name + "[" + (count - 1) + "]" : f.name;
    const v = inField(name, () => this.message(messageOf(f.type), end, top === 0 && !f.repeated ? num : NO_SEAL));
    if (f.ascends) {
      const key = v[f.ascends], last = before?.[f.ascends];
      if (count > 1 && (f.ascends === "key" ? compareText(last, key) >= 0 : last >= key)) throw refused(name, "not ascending");
      if (this.event && top === 0) this.seal.element(f.ascends, v);
    }
    return v;
  }

  packed(f, end) {
    if (this.pos === end) throw bad(end, f.name, "zero value written");
    const out = [];
    while (this.pos < end) {
      const v = BigInt(this.varint(end, f.name));
      if (out.length === f.items) throw refused(f.name, "too many, limit " + f.items);
      if (f.ascends && out.length > 0 && v <= out[out.length - 1]) throw refused(f.name, "not ascending");
      out.push(v);
    }
    return out;
  }

  skip(start, num, wire, end) {
    const at = this.pos;
    switch (wire) {
      case VARINT: this.varint(end, String(num)); break;
      case FIXED64: this.pos += 8; break;
      case FIXED32: this.pos += 4; break;
      case BYTES: {
        const n = this.varint(end, String(num));
        if (n > end - this.pos) throw bad(at, String(num), "length past the end");
        this.pos += Number(n);
        break;
      }
      default: throw bad(start, String(num), "wire type " + wire);
    }
    if (this.pos > end) throw bad(at, String(num), "cut short");
    if (!this.event) throw new Newer("field " + num + ": unknown field");
    this.unknown += this.pos - start;
    if (this.unknown > MAX_UNKNOWN) throw refused(String(num), "too long: " + this.unknown + ", limit " + MAX_UNKNOWN);
  }
}

/**
 * Checks the bytes of a message by the wire grammar and the limits of its fields,
 * and returns it. Unknown fields of an event are kept; elsewhere they throw Newer.
 * @param {string} name of the message, without its package
 */
export function decode(name, b) {
  const s = new Scanner(b, name === "Event");
  const m = messageOf(name), out = s.message(m, b.length, name === "Event" ? 0 : NO_SEAL);
  if (s.seal !== null) s.seal.check(out.sealed, m);
  return out;
}

/** decode() of a batch head: a later format version is said before anything else that is wrong. */
export function decodeBatchHead(b) {
  const s = new Scanner(b, false);
  let version = 0;
  if (b[0] === 0x08) {
    s.pos = 1;
    try {
      version = s.varint(b.length, "format_version");
    } catch { /* said below */ }
    if (version > 1 && version <= 0xffffffff) throw new Newer("field format_version: unknown value " + version);
  }
  return decode("BatchHead", b);
}
