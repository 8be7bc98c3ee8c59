// From the key that an examiner was given to a later one of the log.

import { historyName } from "./history.js";
import { parsePolicy } from "./policy.js";

/** A policy's text without the log's keys that may not sign a size. */
function standingPolicy(text, keys, size) {
  const ended = (line) => {
    const [verb, vkey] = line.split(/\s+/).filter((f) => f !== "");
    return verb === "log" && keys.some((k) => k.vkey === vkey && (k.compromised || size > k.until));
  };
  return text.split(/(?<=\n)/).filter((line) => !ended(line)).join("");
}

/**
 * Opens a bundle's checkpoint under a later key than the policy names: from each
 * earlier checkpoint in the bundle that opens under the keys trusted so far, the
 * keys follow that rotations below its size brought in. A key that has ended, or is
 * in other hands, vouches for none.
 * @returns {Promise<{opened: object, bridge: bigint}>}
 */
export async function followKeys(pass, text, note, unsigned) {
  const keys = pass.keys.keys();
  let trusted = text, bridge = null;
  for (const c of pass.summary.Checkpoints) {
    const earlier = await pass.archive.read(historyName(c.Size, "note"), 1 << 20);
    try {
      parsePolicy(standingPolicy(trusted, keys, c.Size)).open(earlier);
    } catch {
      continue; // none of its keys signed it, or may sign that size
    }
    for (const k of keys) {
      if (k.since > 0n && k.since < c.Size && !trusted.includes(k.vkey)) trusted = "log " + k.vkey + "\n" + trusted, bridge = c.Size;
    }
  }
  if (bridge === null) throw unsigned;
  return { opened: parsePolicy(standingPolicy(trusted, keys, pass.answer.size)).open(note), bridge };
}
