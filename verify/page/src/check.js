// The check of a bundle, whole: one file, or several parts of one answer.

import { hex, utf8 } from "./bytes.js";
import { countersigned } from "./claims.js";
import { Fault, Newer } from "./errors.js";
import { compareHeld } from "./history.js";
import { BundlePass } from "./pass.js";
import { parsePolicy, policyOfKey } from "./policy.js";
import { sha256 } from "./sha256.js";
import { openArchive } from "./zip.js";

/** Exit codes of daybook-verify, and the verdicts that go with them. */
const CODE = Object.freeze({ verified: 0, failed: 1, unusable: 2, self: 3, gaps: 4, newer: 5 });
const verdictWords = ["VERIFIED", "FAILED", "NOT CHECKED", "SELF-CONSISTENT", "VERIFIED WITH DECLARED GAPS", "NEEDS A NEWER VERIFIER"];
const claimNames = ["unaltered", "complete as accepted", "complete as numbered", "authorized", "countersigned"];
const worst = [CODE.failed, CODE.newer, CODE.self, CODE.gaps, CODE.verified];

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
    return { ...emptyResult(), Code: CODE.unusable, Verdict: verdictWords[CODE.unusable], Reason: "the policy or key that you gave: " + err.message };
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
  const results = [];
  for (const part of parts) results.push(await checkPart(part, trust, options, tick));
  return parts.length === 1 ? results[0] : joinParts(results);
}

function emptyResult() {
  return {
    Verdict: verdictWords[CODE.failed], Code: CODE.failed, Claims: [], Reason: "", Member: "", FirstBadIndex: null,
    Opened: null, OwnPolicy: null, Held: "", Parts: [], Report: null, ReportHTML: null,
  };
}

/** Checks one file. */
async function checkPart(blob, trust, options, tick) {
  const result = emptyResult();
  let pass = null;
  try {
    const archive = await openArchive(blob);
    result.Parts = [{ Name: blob.name ?? "", Size: blob.size, ManifestSHA256: hex(sha256(await archive.manifestBytes())) }];
    await archive.check(tick("reading"));
    pass = new BundlePass(archive, tick("checking"));
    await pass.run();
    await finishPart(pass, trust, options, result);
  } catch (err) {
    if (err instanceof Newer) fail(result, CODE.newer, err);
    else if (err instanceof Fault) fail(result, CODE.failed, err);
    else throw err;
  }
  if (pass?.summary !== undefined) result.Report = pass.summary;
  result.OwnPolicy = pass?.head === undefined ? null : new TextDecoder().decode(pass.head.Policy);
  result.ReportHTML = pass?.out?.html?.() ?? null;
  return result;
}

function fail(result, code, err) {
  result.Code = code;
  result.Verdict = verdictWords[code];
  result.Reason = err.message;
  result.Member = err.member ?? "";
  result.FirstBadIndex = err.index ?? null;
  if (result.Claims.length === 0) {
    const state = code === CODE.failed ? "failed" : "not claimed";
    result.Claims = claimNames.map((Name, i) => ({ Name, State: i === 0 ? state : "not claimed", Detail: i === 0 ? err.message : "not reached" }));
  }
}

/** Compares what was proven under the file's own policy with what the examiner trusts, and gives the verdict. */
async function finishPart(pass, trust, options, result) {
  result.Claims = pass.summary.Claims.slice();
  result.Opened = pass.head.Checkpoint;
  if (trust !== null) {
    try {
      result.Opened = trust.open(await pass.archive.read("checkpoint", 1 << 20));
    } catch (err) {
      throw new Fault("checkpoint: under the policy or key from outside: " + err.message, { member: "checkpoint" });
    }
    result.Claims[4] = countersigned(result.Opened.Witnesses);
  }
  if (options.checkpoint) {
    compareHeld({ note: asBytes(options.checkpoint), proof: options.proof ? asBytes(options.proof) : null }, trust, pass.summary);
    result.Held = "the checkpoint that you hold agrees with this file";
  }
  const failed = result.Claims.find((c) => c.State === "failed");
  if (failed !== undefined) {
    const err = new Fault(failed.Name + ": " + failed.Detail);
    err.index = failed.Name === "authorized" ? pass.misjudged.index : null;
    return fail(result, CODE.failed, err);
  }
  result.Code = trust === null ? CODE.self : pass.gaps > 0 || pass.silences > 0 ? CODE.gaps : CODE.verified;
  result.Verdict = verdictWords[result.Code];
}

function asBytes(v) {
  return typeof v === "string" ? utf8(v) : v;
}

/** The verdict on several parts: the worst of theirs, if they are parts of one answer. */
function joinParts(results) {
  const code = worst.find((c) => results.some((r) => r.Code === c));
  const out = { ...results.find((r) => r.Code === code), Parts: results.flatMap((r) => r.Parts) };
  if (code === CODE.failed || code === CODE.newer) return out;
  const heads = results.map((r) => r.Report.Head).sort((a, b) => a.Part - b.Part), first = heads[0];
  const same = (h) => h.Origin === first.Origin && h.Checkpoint.Size === first.Checkpoint.Size && h.Parts === first.Parts;
  let why = "";
  if (!heads.every(same)) why = "the files are not parts of one answer";
  else if (heads.length !== first.Parts || heads.some((h, i) => h.Part !== i + 1)) why = "of " + first.Parts + " parts, these are " + heads.map((h) => h.Part).join(", ");
  else if (heads.some((h, i) => i > 0 && h.First !== heads[i - 1].End)) why = "between two parts lies a part of the log that no part answers for";
  if (why === "") return out;
  fail(out, CODE.failed, new Fault(why));
  return out;
}
