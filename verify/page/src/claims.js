// The five claims that a bundle can prove, in the words of its report.

import { compareText, hex } from "./bytes.js";
import { formatNano } from "./time.js";
import { word } from "./words.js";

/** Puts counts into the summary of a pass whose entries are read. */
function finishCounts(pass, runs) {
  const s = pass.summary, named = (list, enumName) => list.map((n, v) => ({ Name: word(enumName, v), Count: n })).filter((c) => c?.Count > 0);
  s.Runs = runs.map((r) => r.report);
  s.OneOffs = pass.runs.oneOffs;
  s.Losses = [...pass.losses.values()].sort((a, b) => compareText(a.Producer, b.Producer));
  s.Approvals = pass.judge.approvals.all;
  s.Verdicts = named(pass.verdicts, "Verdict");
  s.Alerts = named(pass.alerts, "AlertType");
}

/** Ends the summary of an answer to a question for accesses or streams. */
export function finishClaims(pass, runs) {
  finishCounts(pass, runs);
  pass.summary.Claims = [unaltered(pass), accepted(pass), numbered(pass, runs), authorized(pass), countersigned(pass.head.Checkpoint.Witnesses)];
}

/** Ends the summary of an answer to a question for a range or a whole log. */
export function finishTileClaims(pass, runs) {
  finishCounts(pass, runs);
  const { summary: s, answer: a } = pass, whole = pass.question.Log;
  s.Claims = [
    unaltered(pass),
    claim("complete as accepted", "proved", "these " + s.Answers + " answers are all that the log took in entries " + a.first + " to " + (a.end - 1n)),
    whole ? numbered(pass, runs) : claim("complete as numbered", "not claimed", "a range of entries does not show runs whole"),
    whole ? authorized(pass) : claim("authorized", "not claimed", "a range of entries does not show the maps and approvals before it"),
    countersigned(pass.head.Checkpoint.Witnesses),
  ];
}

function unaltered(pass) {
  return claim("unaltered", "proved", "every entry in this file stands, byte for byte, in the log of " + pass.answer.size + " entries that the checkpoint signs");
}

function claim(Name, State, Detail) {
  return { Name, State, Detail };
}

function accepted(pass) {
  const { summary: s, head, answer: a, question: q } = pass, from = ", from " + head.Selected.length + " streams";
  let detail = "these " + s.Answers + " answers are all that the log took among the first " + head.Cut + " of its " + a.size + " entries" + from, state = "proved";
  if (a.parts > 1) {
    const last = (a.end > 1n ? a.end : 1n) - 1n;
    detail = "these " + s.Answers + " answers are all that the log took in entries " + a.first + " to " + last + from + "; this is part " + a.part + " of " + a.parts;
  }
  if (q.Period !== null && q.Period.endNS > head.Close.period_end_ns) {
    state = "not claimed";
    detail += "; the period ends after " + formatNano(head.Close.period_end_ns) + ", when that of the close ends: what came later is not in this file";
  }
  if (head.Unknown.length > 0) {
    state = "not claimed";
    detail += "; the log does not know what is asked for: " + head.Unknown.map((u) => u.Said).join(", ") + "; what is meant may stand under another name";
  }
  return claim("complete as accepted", state, detail);
}

function numbered(pass, runs) {
  const name = "complete as numbered", faulty = runs.find((r) => r.fault !== null);
  if (faulty !== undefined) {
    const r = faulty.report;
    return claim(name, "failed", "run " + hex(r.Run) + " of " + r.Producer + ": " + r.Reason);
  }
  const proved = runs.filter((r) => r.report.Proved).length, lone = pass.summary.OneOffs;
  const detail = runs.length === 0 ? "no answer is of a run" : proved + " of " + runs.length + " runs: their producers signed that no number is missing";
  const unseen = runs.reduce((n, r) => n + r.unseen, 0n);
  const hashed = unseen > 0n ? "; of " + unseen + " numbers only the hashes are here: that the log has their entries is shown by a file of the whole log" : "";
  return claim(name, runs.length > 0 && proved === runs.length ? "proved" : "not claimed",
    detail + hashed + (lone > 0 ? "; " + lone + " answers were sent one at a time, in no run" : ""));
}

function authorized(pass) {
  if (pass.misjudged !== null) return claim("authorized", "failed", "entry " + pass.misjudged.index + ": " + pass.misjudged.message);
  const counts = pass.summary.Verdicts.map((v) => v.Count + " " + v.Name).join(", ");
  return claim("authorized", "proved", "every verdict, also that an access was not authorized, follows from the maps and approvals in this file" + (counts === "" ? "" : ": " + counts));
}

/** A time of Unix seconds as RFC 3339 in UTC. */
export function unixTime(seconds) {
  const t = new Date(Number(seconds) * 1000);
  return Number.isNaN(t.getTime()) ? String(seconds) : t.toISOString().replace(/^\+0*/, "").replace(/\.\d+Z$/, "Z");
}

/** Which cosigners, that the file's own policy and report name, are none of the examiner's. */
export function strangers(own, trusted) {
  const others = own.filter((w) => !trusted.some((t) => t.Name === w.Name && t.Unix === w.Unix));
  return others.length === 0 ? "" : "; the report in the file names " + countersigned(others).Detail + ", which your policy does not bear out";
}

/** Who cosigned, in the order of time and name. */
export function countersigned(witnesses) {
  if (witnesses.length === 0) return claim("countersigned", "not claimed", "no witness of the policy cosigned the checkpoint");
  const sorted = witnesses.toSorted((a, b) => (a.Unix === b.Unix ? compareText(a.Name, b.Name) : a.Unix < b.Unix ? -1 : 1));
  return claim("countersigned", "proved", sorted.map((w) => w.Name + " at " + unixTime(w.Unix)).join(", "));
}
