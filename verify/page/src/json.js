// JSON in the one form that an examination file has: written, and read strictly.

import { equal, isUtf8, text, utf8 } from "./bytes.js";
import { Fault, worded } from "./errors.js";

const MAX_DEPTH = 16;

/** A string with its quotes: only `"`, `\` and what is below 0x20 is escaped. */
export function jsonString(s) {
  return '"' + s.replace(/["\\\u0000-\u001f]/g, (c) => (c < " " ? "\\u00" + c.charCodeAt(0).toString(16).padStart(2, "0") : "\\" + c)) + '"';
}

/**
 * A value without white space. Maps and arrays of [key, value] held in a Map are
 * objects, in their order; numbers are Numbers or BigInts.
 */
export function jsonLine(v) {
  if (v instanceof Map) return "{" + [...v].map(([k, x]) => jsonString(k) + ":" + jsonLine(x)).join(",") + "}";
  if (Array.isArray(v)) return "[" + v.map(jsonLine).join(",") + "]";
  return typeof v === "string" ? jsonString(v) : String(v);
}

/** A value as a document: indented by two spaces, with a line feed at its end. */
export function jsonDocument(v) {
  return indented(v, "\n") + "\n";
}

function indented(v, line) {
  const inner = line + "  ";
  if (v instanceof Map && v.size > 0) {
    return "{" + inner + [...v].map(([k, x]) => jsonString(k) + ": " + indented(x, inner)).join("," + inner) + line + "}";
  }
  if (Array.isArray(v) && v.length > 0) return "[" + inner + v.map((x) => indented(x, inner)).join("," + inner) + line + "]";
  return jsonLine(v);
}

/**
 * Reads a canonical document: writing what was read gives the same bytes.
 * @returns {Map|Array|string|bigint|boolean}
 */
export function parseDocument(b) {
  if (!isUtf8(b, 0, b.length)) throw new Fault("not UTF-8");
  const r = new JsonReader(text(b));
  const v = r.value(0);
  if (!equal(utf8(jsonDocument(v)), b)) throw new Fault("not in canonical form");
  return v;
}

class JsonReader {
  constructor(s) {
    this.s = s;
    this.at = 0;
  }

  fail() {
    throw new Fault("not JSON at character " + this.at);
  }

  space() {
    while (this.s[this.at] === " " || this.s[this.at] === "\n") this.at++;
  }

  take(c) {
    this.space();
    if (this.s[this.at] !== c) return false;
    this.at++;
    return true;
  }

  value(depth) {
    this.space();
    if (depth > MAX_DEPTH) this.fail();
    const c = this.s[this.at];
    if (c === "{") return this.object(depth);
    if (c === "[") return this.list(depth);
    if (c === '"') return this.string();
    const m = /(?:true|false|-?(?:0|[1-9][0-9]{0,19}))/y;
    m.lastIndex = this.at;
    const found = m.exec(this.s);
    if (found === null) this.fail();
    this.at += found[0].length;
    return found[0] === "true" ? true : found[0] === "false" ? false : BigInt(found[0]);
  }

  object(depth) {
    const out = new Map();
    this.take("{");
    for (let first = true; !this.take("}"); first = false) {
      if (!first && !this.take(",")) this.fail();
      this.space();
      const key = this.string();
      if (out.has(key) || !this.take(":")) this.fail();
      out.set(key, this.value(depth + 1));
    }
    return out;
  }

  list(depth) {
    const out = [];
    this.take("[");
    while (!this.take("]")) {
      if (out.length > 0 && !this.take(",")) this.fail();
      out.push(this.value(depth + 1));
    }
    return out;
  }

  string() {
    const m = /"((?:[^"\\\u0000-\u001f]|\\["\\]|\\u00[01][0-9a-f])*)"/y;
    m.lastIndex = this.at;
    const found = m.exec(this.s);
    if (found === null) this.fail();
    this.at += found[0].length;
    return found[1].replace(/\\(?:u00(..)|(.))/g, (_, code, c) => (code === undefined ? c : String.fromCharCode(parseInt(code, 16))));
  }
}

/**
 * Takes the fields of an object apart: each key must be known and of its type, and
 * they stand in this order. Absent ones get the empty value of their type.
 * @param {Map} object
 * @param {{[key: string]: string}} types string, uint, int, true, list, object, or the same with "!" where it must be there
 */
export function fieldsOf(object, types, what) {
  if (!(object instanceof Map)) throw new Fault(what + ": no object");
  const out = {}, order = Object.keys(types);
  let last = -1;
  for (const [key, v] of object) {
    const at = order.indexOf(key);
    if (at <= last) throw new Fault(what + ": field " + JSON.stringify(key.slice(0, 60)) + " is not known, or not in its place");
    last = at;
    if (!hasType(v, types[key])) throw new Fault(what + ": field " + key + " is no " + types[key].replace("!", "") + ", or empty");
    out[key] = v;
  }
  for (const key of order) {
    if (out[key] !== undefined) continue;
    if (types[key].endsWith("!")) throw new Fault(what + ": field " + key + " is missing");
    out[key] = types[key] === "string" ? "" : null;
  }
  return out;
}

/** Whether a value is of a type; where a field may be absent it is not empty. */
function hasType(v, type) {
  const must = type.endsWith("!");
  switch (type.replace("!", "")) {
    case "string": return typeof v === "string" && (must || v !== "");
    case "uint": return typeof v === "bigint" && v >= 0n && v < 1n << 64n;
    case "int": return typeof v === "bigint";
    case "true": return v === true;
    case "list": return Array.isArray(v) && (must || v.length > 0);
    case "object": return v instanceof Map && v.size > 0;
  }
  return false;
}

/** Runs fn and puts the name of a member before what it throws. */
export function inMember(member, fn) {
  try {
    return fn();
  } catch (err) {
    if (err instanceof Fault && err.member === "") err.member = member;
    throw worded(member, err);
  }
}
