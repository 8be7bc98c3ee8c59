// How values are written in the derived members of a bundle: times, numbers, text
// that nobody can mistake, and the escapes of HTML, JSON and CSV.

import { hex } from "./bytes.js";

/** Most characters of a value in a sentence. */
const MAX_PHRASE = 200;

/** Characters that a reader would not see, or that reorder what is read. */
const HIDDEN = /[\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{61c}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

/** The same, and the quotes that a sentence puts around values. */
const HIDDEN_OR_QUOTE = new RegExp(HIDDEN.source.replace(/\]$/, "\u201c\u201d]"), "gu");

/** All but printable ASCII: text without it is written as it is, and that is nearly all text. */
const NOT_PLAIN = /[^ -~]/;

function codePointText(character) {
  return `<U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** Text with hidden characters shown by their code points. */
export function showText(text) {
  return NOT_PLAIN.test(text) ? text.replace(HIDDEN, codePointText) : text;
}

/** The same for text between the quotes of a sentence. */
export function quotedText(text) {
  return NOT_PLAIN.test(text) ? text.replace(HIDDEN_OR_QUOTE, codePointText) : text;
}

/** Text as it stands between quotes in a sentence: at most 200 characters. */
export function phraseText(text) {
  const shown = quotedText(text);
  if (shown.length <= MAX_PHRASE) return shown;
  const characters = [...shown];
  return characters.length <= MAX_PHRASE ? shown : characters.slice(0, MAX_PHRASE - 3).join("") + "...";
}

/** Bytes as text: as they are where they are printable ASCII that does not begin with 0x, else 0x and hex digits. */
export function bytesText(bytes) {
  if (bytes === null || bytes === undefined || bytes.length === 0) return "";
  if (bytes.every((b) => b >= 0x20 && b <= 0x7e)) {
    const ascii = String.fromCharCode(...bytes);
    if (!ascii.startsWith("0x")) return ascii;
  }
  return "0x" + hex(bytes);
}

const HTML_ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };

/** Text for HTML, also in an attribute's quotes. */
export function htmlText(text) {
  return text.replace(/[&<>"']/g, (c) => HTML_ESCAPES[c]);
}

/** A canonical JSON string with its quotes. */
export function jsonText(text) {
  if (!/["\\\u0000-\u001f]/.test(text)) return `"${text}"`;
  const escaped = text.replace(/["\\]/g, "\\$&").replace(/[\u{0}-\u{1f}]/gu, (c) => "\\u00" + c.charCodeAt(0).toString(16).padStart(2, "0"));
  return `"${escaped}"`;
}

/** One field of CSV, safe in a program that runs formulas. */
export function csvText(text) {
  const guarded = text !== "" && "=+-@\t\r'".includes(text[0]) ? "'" + text : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

const NS = 1000000000n;

/** Whole seconds of nanoseconds, rounded down, and the digits of the rest. */
function splitNS(ns) {
  const rest = ((ns % NS) + NS) % NS;
  return { seconds: (ns - rest) / NS, rest: String(rest).padStart(9, "0") };
}

const YEAR_10000 = 253402300800n;

/** A time in whole Unix seconds, of year 1 or later, as 2026-05-17T09:15:00 in UTC. */
function clockText(seconds) {
  if (seconds < YEAR_10000) return new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const cycle = 146097n * 86400n; // 400 years
  const cycles = (seconds - YEAR_10000) / cycle + 1n;
  const text = clockText(seconds - cycles * cycle); // in the years 9600 to 9999
  return String(BigInt(text.slice(0, 4)) + 400n * cycles) + text.slice(4);
}

/** A time in nanoseconds as RFC 3339 in UTC with nine digits. */
export function utcText(ns) {
  const { seconds, rest } = splitNS(ns);
  return `${clockText(seconds)}.${rest}Z`;
}

/**
 * A time in nanoseconds in a zone, "" without offsets.
 * @param {bigint} ns
 * @param {{From: number, Seconds: number}[]} offsets From in Unix seconds, ascending
 */
export function localText(ns, offsets) {
  if (offsets.length === 0) return "";
  const { seconds, rest } = splitNS(ns);
  let offset = offsets[0];
  for (const o of offsets) if (o.From <= seconds) offset = o;
  return `${clockText(seconds + BigInt(offset.Seconds))}.${rest}${offsetText(offset.Seconds)}`;
}

/** An offset as +hh:mm, or +hh:mm:ss where it has seconds. */
function offsetText(seconds) {
  const size = Math.abs(seconds), two = (n) => String(n).padStart(2, "0");
  const parts = [two(Math.floor(size / 3600)), two(Math.floor(size / 60) % 60)];
  if (size % 60 !== 0) parts.push(two(size % 60));
  return (seconds < 0 ? "-" : "+") + parts.join(":");
}

/** What utcText and localText return as it stands in a sentence: 2026-05-17 09:15:00.250 UTC. */
export function humanTime(text) {
  if (text.length < 30) return text;
  const fraction = text.slice(20, 29).replace(/(000)+$/, "");
  const zone = text.slice(29) === "Z" ? "UTC" : text.slice(29);
  return `${text.slice(0, 10)} ${text.slice(11, 19)}${fraction === "" ? "" : "." + fraction} ${zone}`;
}

/** A time in whole Unix seconds as it stands in a sentence: 2026-05-17 09:15:00 UTC. */
export function unixClock(seconds) {
  return clockText(BigInt(seconds)).replace("T", " ") + " UTC";
}

/** A number with a comma before each three digits. */
export function groupedNumber(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number for templates: n its text, one whether it is 1, any whether it is not 0. */
export function countScope(n) {
  return { n: groupedNumber(n), one: BigInt(n) === 1n, any: BigInt(n) !== 0n };
}
