// The checkpoints of a bundle, and one that the examiner holds from elsewhere.

import { equal } from "./bytes.js";
import { openUnverified, parseHashes } from "./checkpoint.js";
import { Fault } from "./errors.js";
import { isHistory } from "./members.js";
import { memberFault } from "./rows.js";
import { checkConsistency } from "./tree.js";

const MAX_HISTORY = 400, MAX_PROOF = 64 * 45, MAX_NOTE_FILE = 1 << 20;

/** Opens a signed note of the bundle under the bundle's own policy. */
export async function openNote(archive, name, policy) {
  const note = await archive.read(name, MAX_NOTE_FILE);
  try {
    return policy.open(note);
  } catch (err) {
    throw memberFault(name, "under the file's own policy: ", err);
  }
}

/** Checks that a log's keys, as its entries name them, may have signed its checkpoint; a key that came later is the policy's to know. */
export async function checkSigned(archive, reign) {
  const note = await archive.read("checkpoint", MAX_NOTE_FILE);
  try {
    if (reign.openCheckpoint(note).compromised) throw new Fault("only a compromised key signed it");
  } catch (err) {
    if (!err.unsigned) throw memberFault("checkpoint", "under the keys that the log's entries name: ", err);
  }
}

/** Opens an earlier checkpoint: under the file's own policy, or as one that a key of the log signed, another one than the policy's or without its witnesses. */
function openEarlier(note, policy, reign) {
  try {
    return policy.open(note);
  } catch (err) {
    if (!err.unsigned && !err.quorum) throw err;
    const { Origin, Size, Root } = reign.openCheckpoint(note);
    return { Origin, Size, Root, Witnesses: [] };
  }
}

export function historyName(size, suffix) {
  return "checkpoints/" + String(size).padStart(20, "0") + "." + suffix;
}

/** Opens the earlier checkpoints and checks that each begins the next, the last of them the file's own. */
export async function readHistory(archive, policy, reign, last) {
  const out = [];
  for (const name of archive.names.filter(isHistory)) {
    const size = BigInt(name.slice(12, 32));
    if (!archive.has(historyName(size, "note"))) throw new Fault(name + ": there is no checkpoint beside it", { member: name });
    if (!name.endsWith(".note")) continue;
    const note = await archive.read(name, MAX_NOTE_FILE);
    let o;
    try {
      o = openEarlier(note, policy, reign);
    } catch (err) {
      throw memberFault(name, "under the file's own policy: ", err);
    }
    if (o.Size !== size || o.Origin !== last.Origin || size >= last.Size || size === 0n) {
      throw new Fault(name + ": it is one of size " + o.Size + " of log " + JSON.stringify(o.Origin), { member: name });
    }
    out.push(o);
  }
  if (out.length > MAX_HISTORY) throw new Fault(out.length + " earlier checkpoints, limit " + MAX_HISTORY);
  let next = last;
  for (const c of out.toReversed()) {
    const name = historyName(c.Size, "proof"), text = await archive.read(name, MAX_PROOF);
    try {
      checkConsistency(c.Size, next.Size, c.Root, next.Root, parseHashes(text));
    } catch (err) {
      throw memberFault(name, "that the log at size " + next.Size + " begins with the one at size " + c.Size + ": ", err);
    }
    next = c;
  }
  return out;
}

/**
 * Opens a checkpoint that the examiner holds: under the policy, or under another key
 * that the log has had. What a compromised key alone has signed is believed of a log
 * that is not longer than the file's.
 */
function openHeld(note, policy, keys, size) {
  if (policy === null) return openUnverified(note);
  try {
    return policy.open(note);
  } catch (err) {
    if (!err.unsigned || keys === null) throw err;
    const c = keys.openCheckpoint(note);
    if (c.compromised && c.Size > size) throw new Fault("only a compromised key signed it");
    return c;
  }
}

/**
 * Compares a checkpoint that the examiner holds with those of the bundle. Throws.
 * @param {{note: Uint8Array, proof: Uint8Array|null}} held
 * @param {object|null} policy the examiner's
 * @param {BundlePass} pass over the bundle
 */
export function compareHeld(held, policy, pass) {
  const summary = pass.summary;
  let c, proof;
  try {
    c = openHeld(held.note, policy, pass.keys, summary.Head.Checkpoint.Size);
    proof = held.proof === null ? null : parseHashes(held.proof);
  } catch (err) {
    throw new Fault("the checkpoint that you hold: " + err.message);
  }
  const head = summary.Head, own = head.Checkpoint;
  if (c.Origin !== own.Origin) throw new Fault("the checkpoint that you hold is of log " + JSON.stringify(c.Origin) + ", this file of log " + JSON.stringify(own.Origin));
  const known = [own, ...summary.Checkpoints];
  if (head.Close !== null) known.push({ Size: head.Cut, Root: head.Close.root });
  for (const k of known) {
    if (k.Size !== c.Size) continue;
    if (equal(k.Root, c.Root)) return;
    throw new Fault("FORK: two roots at size " + c.Size + ": the checkpoint that you hold and this file are of two histories of the log");
  }
  if (proof === null) throw new Fault(notCompared(c.Size, own.Size));
  const [first, second] = c.Size < own.Size ? [c, own] : [own, c];
  try {
    checkConsistency(first.Size, second.Size, first.Root, second.Root, proof);
  } catch (err) {
    throw new Fault("the checkpoint that you hold, of size " + c.Size + ", and this file: " + err.message);
  }
}

function notCompared(held, own) {
  if (held > own) {
    return "the checkpoint that you hold is of size " + held + ", this file of size " + own + ": an old copy was presented; ask for a file at size " +
      held + " or more, or for the consistency proof between the two sizes";
  }
  return "the checkpoint that you hold, of size " + held + ", cannot be compared with this file: ask for the consistency proof from size " + held + " to size " + own;
}
