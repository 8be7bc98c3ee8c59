// The words of alerts, and what they rest on.

import { utf8 } from "./bytes.js";
import { enumNumber } from "./words.js";

/** Types of alerts by their words. */
export function alertType(name) {
  return enumNumber("AlertType", name);
}

/** Cuts text to n bytes of printable ASCII. */
export function clip(s, n) {
  const b = utf8(s);
  if (b.length <= n && !/[^ -~]/.test(s)) return s;
  return Array.from(b.subarray(0, n), (c) => (c >= 0x7f || c < 0x20 ? "?" : String.fromCharCode(c))).join("");
}

/** Indexes as they stand in alerts: plus 1, ascending, each once. */
export function rests(...indexes) {
  return [...new Set(indexes.map((i) => i + 1n))].sort((a, b) => (a < b ? -1 : 1));
}

/** A span of nanoseconds as Go's time.Duration has it: 1h0m0.5s. */
export function durationText(ns) {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "", u = ns < 0n ? -ns : ns;
  const fraction = (v, digits) => {
    const unit = 10n ** BigInt(digits), part = String(v % unit).padStart(digits, "0").replace(/0+$/, "");
    return v / unit + (part === "" ? "" : "." + part);
  };
  if (u < 1000n) return sign + u + "ns";
  if (u < 1000000n) return sign + fraction(u, 3) + "\u00b5s";
  if (u < 1000000000n) return sign + fraction(u, 6) + "ms";
  const minutes = u / 60000000000n, seconds = fraction(u % 60000000000n, 9) + "s";
  if (minutes === 0n) return sign + seconds;
  return sign + (minutes >= 60n ? minutes / 60n + "h" : "") + (minutes % 60n) + "m" + seconds;
}

/** A span in ASCII. */
export function spanText(ns) {
  return durationText(ns).replaceAll("\u00b5", "u");
}
