// The check of a bundle, whole: one file, or several parts of one answer.

import { hex, utf8 } from "./bytes.js";
import { countersigned, strangers } from "./claims.js";
import { Fault, Newer, Unusable } from "./errors.js";
import { followKeys } from "./follow.js";
import { compareHeld } from "./history.js";
import { joinParts } from "./parts.js";
import { BundlePass } from "./pass.js";
import { parsePolicy, policyOfKey } from "./policy.js";
import { sha256 } from "./sha256.js";
import { openArchive } from "./zip.js";
import { zoneCaution } from "./zone.js";

/** Exit codes of daybook-verify, and the verdicts that go with them. */
const CODE = Object.freeze({ verified: 0, failed: 1, unusable: 2, self: 3, gaps: 4, newer: 5 });
const verdictWords = ["VERIFIED", "FAILED", "NOT CHECKED", "SELF-CONSISTENT", "VERIFIED WITH DECLARED GAPS", "NEEDS A NEWER VERIFIER"];
const claimNames = ["unaltered", "complete as accepted", "complete as numbered", "authorized", "countersigned"];

/**
 * Checks a bundle. It never throws for what is in the files: only where a file
 * cannot be read, or options.pause throws.
 * @param {Blob[]} parts one bundle, or the parts of one; each has size and slice(from, to).arrayBuffer()
 * @param {{policy?: string|Uint8Array|null, key?: string|null, checkpoint?: Uint8Array|null, proof?: Uint8Array|null,
 *   onProgress?: function(number, number, string), pause?: function(): Promise}} options policy, key and checkpoint are the examiner's own
 * @returns {Promise<{Verdict: string, Code: number, Claims: object[], Reason: string, Member: string, FirstBadIndex: bigint|null}>}
 */
export async function checkBundle(parts, options = {}) {
  let trust;
  try {
    trust = options.policy ? parsePolicy(options.policy) : options.key ? policyOfKey(options.key.trim()) : null;
  } catch (err) {
    const unusable = emptyResult();
    give(unusable, CODE.unusable, "the policy or key that you gave: " + err.message);
    return unusable;
  }
  const total = parts.reduce((n, p) => n + 2 * p.size, 0);
  let done = 0, paused = Date.now();
  const tick = (what) => async (bytes) => {
    done += bytes;
    options.onProgress?.(Math.min(done, total), total, what);
    if (options.pause === undefined || Date.now() - paused < 40) return;
    await options.pause();
    paused = Date.now();
  };
  const passes = [], result = emptyResult();
  for (const part of parts) {
    try {
      passes.push(await checkPart(part, tick, result, passes));
    } catch (err) {
      if (!(err instanceof Fault || err instanceof Newer)) throw err;
      if (parts.length > 1) err.message = (part.name ?? "") + ": " + err.message;
      return failed(result, err);
    }
  }
  try {
    await judgeParts(joinParts(passes), trust, options, result);
  } catch (err) {
    if (err instanceof Unusable) {
      give(result, CODE.unusable, err.message);
      return result;
    }
    if (!(err instanceof Fault)) throw err;
    return failed(result, err);
  }
  return result;
}

function emptyResult() {
  return {
    Verdict: "", Code: CODE.failed, Claims: [], Reason: "", Member: "", FirstBadIndex: null,
    Opened: null, OwnPolicy: null, Held: "", Zone: "", Parts: [], Report: null, ReportHTML: null,
  };
}

function give(result, code, reason) {
  result.Code = code;
  result.Verdict = verdictWords[code];
  result.Reason = reason;
}

/** Ends a check at what is wrong with a file. */
function failed(result, err) {
  const newer = err instanceof Newer;
  give(result, newer ? CODE.newer : CODE.failed, err.message);
  result.Member = err.member ?? "";
  result.FirstBadIndex = err.index ?? null;
  result.Claims = claimNames.map((Name, i) => ({
    Name, State: i === 0 && !newer ? "failed" : "not claimed", Detail: i === 0 ? err.message : "the check ended before it",
  }));
  return result;
}

/** Checks one file by itself. What is known of it is put into the result as it comes. */
async function checkPart(blob, tick, result, before) {
  const archive = await openArchive(blob);
  result.Parts.push({ Name: blob.name ?? "", Size: blob.size, ManifestSHA256: hex(sha256(await archive.manifestBytes())) });
  await archive.check(tick("reading"));
  const pass = new BundlePass(archive, tick("checking"));
  try {
    await pass.run();
  } finally {
    if (before.length === 0 && pass.head !== undefined) {
      result.Opened = pass.head.Checkpoint;
      result.OwnPolicy = new TextDecoder().decode(pass.head.Policy);
      result.Report = pass.summary;
      result.Zone = zoneCaution(pass.question.Period);
    }
  }
  if (before.length === 0) result.ReportHTML = pass.out.html?.() ?? null;
  return pass;
}

/** Gives the verdict on files that are sound in themselves. */
async function judgeParts(passes, trust, options, result) {
  const first = passes[0];
  result.Claims = joinClaims(passes);
  if (first.answer.parts > passes.length && result.Claims[1].State === "proved") {
    result.Claims[1] = { ...result.Claims[1], State: "not claimed", Detail: result.Claims[1].Detail + "; the other parts are not here" };
  }
  result.Opened = first.head.Checkpoint;
  give(result, CODE.verified, "");
  if (passes.some((p) => p.losses.size > 0 || p.gaps > 0)) {
    give(result, CODE.gaps, "producers declared numbers as lost, or were silent past their limit: see the gaps and alerts in the report");
  }
  try {
    await compareWithTrust(first, trust, options, result);
    if (trust === null) giveAlone(result);
  } catch (err) {
    if (!(err instanceof Fault)) throw err;
    give(result, CODE.failed, err.message);
    result.Claims[0] = { Name: claimNames[0], State: "failed", Detail: err.message };
  }
  for (const p of passes) {
    const at = p.failedAt();
    if (at !== null && (result.FirstBadIndex === null || at < result.FirstBadIndex)) result.FirstBadIndex = at;
  }
  const bad = result.Claims.find((c) => c.State === "failed");
  if (bad !== undefined && result.Code !== CODE.failed) give(result, CODE.failed, bad.Name + ": " + bad.Detail);
}

/** The verdict where no key from outside was given. */
function giveAlone(result) {
  give(result, CODE.self, "no key from outside was given: whoever made this file could have made all of it");
  const c = result.Claims[4];
  if (c.State === "proved") result.Claims[4] = { ...c, State: "not claimed", Detail: "only by the file's own policy: " + c.Detail };
}

/** Opens the checkpoint under the examiner's policy, or under a later key of the log that follows from it. */
async function openTrusted(pass, trust, note, result) {
  try {
    return trust.open(note);
  } catch (err) {
    if (!err.unsigned) throw err;
    const { opened, bridge } = await followKeys(pass, trust, note, err);
    const c = result.Claims[0];
    result.Claims[0] = { ...c, Detail: c.Detail + "; its key is a later one of the log: a checkpoint that follows from your policy, of size " + bridge + ", covers the rotation" };
    return opened;
  }
}

/** Holds the files against what the examiner has. */
async function compareWithTrust(pass, trust, options, result) {
  if (trust !== null) {
    const note = await pass.archive.read("checkpoint", 1 << 20);
    try {
      result.Opened = await openTrusted(pass, trust, note, result);
    } catch (err) {
      throw new Fault("the checkpoint under the policy that you gave: " + err.message);
    }
    const c = countersigned(result.Opened.Witnesses);
    result.Claims[4] = { ...c, Detail: c.Detail + strangers(pass.head.Checkpoint.Witnesses, result.Opened.Witnesses) };
  }
  if (!options.checkpoint) return;
  compareHeld({ note: asBytes(options.checkpoint), proof: options.proof ? asBytes(options.proof) : null }, trust, pass);
  result.Held = "The checkpoint that you hold agrees with this file.";
}

/** The worst state of each claim, with the detail of the first part that has it. */
function joinClaims(passes) {
  const rank = { proved: 0, "not claimed": 1, failed: 2 }, out = passes[0].summary.Claims.slice();
  for (const p of passes.slice(1)) {
    p.summary.Claims.forEach((c, i) => {
      if (rank[c.State] > rank[out[i].State]) out[i] = c;
    });
  }
  if (passes.length > 1 && out[1].State === "proved") {
    const answers = passes.reduce((n, p) => n + p.summary.Answers, 0);
    out[1] = { ...out[1], Detail: "all " + passes.length + " parts are here and join without a hole: " + answers + " answers" };
  }
  return out;
}

function asBytes(v) {
  return typeof v === "string" ? utf8(v) : v;
}
