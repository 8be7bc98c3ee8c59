// From the key that an examiner was given to a later one of the log.

import { Fault } from "./errors.js";
import { fingerprintWords } from "./fingerprint.js";
import { historyName } from "./history.js";

/**
 * Opens a bundle's checkpoint under a later key than the policy names: key n+1 of the
 * log is trusted if key n is, and key n signed a checkpoint that covers the rotation
 * to key n+1, at a size that it may sign, and is not in other hands. Such are the
 * earlier checkpoints in the bundle, and in a whole log those in the retirements;
 * quorum and witnesses are asked of the bundle's own checkpoint alone. A key vouches
 * for the next one, never for the one before.
 * @param {Policy} policy the examiner's
 * @returns {Promise<{opened: object, bridge: bigint}>}
 */
export async function followKeys(pass, policy, note, unsigned) {
  if (!policy.hasLog(pass.answer.origin)) throw unsigned;
  if (pass.keys === null) {
    throw new Fault(unsigned.message + "; the answer to a range does not show the keys that the log has had: where its key was replaced since your card, " +
      "give a policy with the line of the newer card too (log VKEY), or ask for a file of streams or of the whole log");
  }
  const keys = pass.keys.keys(), size = pass.answer.size, notes = pass.question.Log ? pass.keys.bridges().map((b) => b.note) : [];
  for (const c of pass.summary.Checkpoints) notes.push(await pass.archive.read(historyName(c.Size, "note"), 1 << 20));
  const trusted = keys.map((k) => policy.names(k.key));
  let bridge = null;
  for (let i = 1; i < keys.length; i++) {
    for (const n of notes) {
      if (trusted[i] || !trusted[i - 1]) break;
      const at = pass.keys.vouched(i, n);
      if (at !== null && at <= size) trusted[i] = true, bridge = at;
    }
  }
  const standing = keys.filter((k, i) => trusted[i] && !k.compromised && size <= k.until);
  if (bridge === null || standing.length === 0) throw unfollowed(keys, trusted);
  return { opened: policy.under(standing.map((k) => k.key)).open(note), bridge };
}

/** Why no key that stands now is trusted, and what to do. */
function unfollowed(keys, trusted) {
  const now = keys.at(-1), last = trusted.lastIndexOf(true), from = keys[last], unsigned = "no signature by a log of the policy";
  const name = (k) => k.vkey.split("+").slice(0, 2).join("+");
  if (from === now) {
    return new Fault("the newest key of the log that its entries here name, " + name(now) + ", is the policy's and did not sign this checkpoint: " + unsigned +
      "; where the key was replaced after these entries, ask for a file that rests on a later close, or take the newer key card");
  }
  let why = "none of the policy's keys is one that the log has had";
  if (from?.compromised) why = "by entry " + from.until + " the log's key " + name(from) + " was in other hands, so that it vouches for no other";
  else if (from) why = "no checkpoint here that the key " + name(from) + " signed covers entry " + keys[last + 1].since + ", by which the next one took over";
  return new Fault(why + ": " + unsigned + "; take the newer key card, which the firm lodged with you or whom you trust, not one that came with these files, " +
    "compare its twelve words with these (" + fingerprintWords(now.fingerprint).join(" ") + "), and where they are the same add to the policy the line: log " + now.vkey);
}
