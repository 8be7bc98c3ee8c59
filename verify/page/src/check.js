// The check of a bundle.

import { parseEntry } from "./entry.js";
import { parsePolicy, policyOfKey } from "./policy.js";
import { crc32 } from "./crc32.js";
import { p256Verify } from "./p256.js";
import { TableBuilder } from "./close.js";

/** Checks a bundle. */
export async function checkBundle(parts, options) {
  void [parts, options, parseEntry, parsePolicy, policyOfKey, crc32, p256Verify, TableBuilder];
  return { Verdict: "", Code: 5, Claims: [], Reason: "", Member: "", FirstBadIndex: null };
}
