// What a bundle says of its own scope: answer.json and manifest.json.

import { compareText, hex, MAX_SIZE, unhex, utf8 } from "./bytes.js";
import { Fault } from "./errors.js";
import { fieldsOf, parseDocument } from "./json.js";
import { memberBefore, memberLine } from "./members.js";
import { checkFormat } from "./question.js";

const MAX_PARTS = 999, MAX_MEMBERS = 400000, MAX_FILE = 2 ** 40;

/** Reads answer.json strictly. close and cut are null where there is none. */
export function parseAnswer(b, question) {
  const document = parseDocument(b);
  checkFormat(document, "daybook-answer/v", "daybook-answer/v1", "answer");
  const f = fieldsOf(document, {
    format: "string!", origin: "string!", size: "uint!", close: "uint", cut: "uint", part: "uint!", parts: "uint!", first: "uint!", end: "uint!",
    runs_first: "uint", runs_end: "uint", domains: "list", runs: "list",
  }, "answer");
  const a = {
    origin: f.origin, size: f.size, close: f.close, cut: f.cut, part: Number(f.part), parts: Number(f.parts), first: f.first, end: f.end,
    runsFirst: f.runs_first, runsEnd: f.runs_end, domains: parseDomains(f.domains ?? []), runs: parseRuns(f.runs ?? []),
  };
  if (a.size === 0n || a.size > MAX_SIZE) throw new Fault("answer: size " + a.size);
  if (a.part < 1 || a.parts > MAX_PARTS || a.part > a.parts) throw new Fault("answer: part " + a.part + " of " + a.parts);
  if (a.first > a.end || a.end > a.size) throw new Fault("answer: window [" + a.first + ", " + a.end + ") of a log of " + a.size);
  if ((a.close === null) !== (a.cut === null)) throw new Fault("answer: close and cut go together");
  if (a.close !== null && (a.close >= a.size || a.cut > a.close)) throw new Fault("answer: close " + a.close + " with cut " + a.cut + " in a log of " + a.size);
  if (question.Range !== null || question.Log) checkTilesAnswer(a, question);
  else checkStreamsAnswer(a);
  return a;
}

function checkTilesAnswer(a, q) {
  const refuse = (why) => {
    throw new Fault("answer: window [" + a.first + ", " + a.end + ") of part " + a.part + " of " + a.parts + why);
  };
  if (a.runsFirst !== null || a.runsEnd !== null || a.domains.length > 0 || a.runs.length > 0) refuse(": a range or a whole log has no runs here");
  if (q.Log && (a.parts !== 1 || a.first !== 0n || a.end !== a.size)) refuse(" is not the whole log of " + a.size);
  if (q.Range === null) return;
  if (a.close !== null) refuse(": a range shows no close");
  if (a.first < q.Range.First || a.end > q.Range.End || a.first === a.end) refuse(" is not in the range");
  if ((a.part === 1 && a.first !== q.Range.First) || (a.part === a.parts && a.end !== q.Range.End)) refuse(" does not reach the end of the range");
}

function checkStreamsAnswer(a) {
  if (a.close === null || a.runsFirst === null || a.runsEnd === null) throw new Fault("answer: close, cut, runs_first or runs_end is missing");
  if (a.end > a.cut || (a.part === 1) !== (a.first === 0n) || (a.part === a.parts) !== (a.end === a.cut)) {
    throw new Fault("answer: window [" + a.first + ", " + a.end + ") of part " + a.part + " of " + a.parts + " below the cut " + a.cut);
  }
  if (a.domains.length === 0 && (a.runsEnd !== 0n || a.runs.length > 0)) throw new Fault("answer: runs, or a window of runs, without a domain");
  if (a.runsFirst > a.runsEnd || a.runsEnd > a.cut) throw new Fault("answer: window [" + a.runsFirst + ", " + a.runsEnd + ") of runs below the cut " + a.cut);
}

function parseDomains(list) {
  list.forEach((d, i) => {
    if (typeof d !== "string" || d === "" || utf8(d).length > 63 || (i > 0 && compareText(list[i - 1], d) >= 0)) throw new Fault("answer: domains do not ascend");
  });
  return list;
}

function parseRuns(list) {
  let last = null;
  return list.map((r) => {
    const f = fieldsOf(r, { producer: "string!", run: "string!" }, "answer: runs");
    if (!/^[0-9a-f]{64}$/.test(f.run)) throw new Fault("answer: runs: a run id is no hash");
    if (f.producer === "") throw new Fault("answer: runs: a run without a producer");
    if (last !== null && (compareText(last.producer, f.producer) || compareText(last.run, f.run)) >= 0) throw new Fault("answer: runs do not ascend");
    last = f;
    const run = unhex(f.run);
    return { producer: f.producer, run, id: f.producer + "\0" + hex(run) };
  });
}

/** Reads manifest.json strictly: {origin, files: [{name, size, sha256}]}. */
export function parseManifest(b) {
  const document = parseDocument(b);
  checkFormat(document, "daybook-bundle/v", "daybook-bundle/v1", "manifest");
  const f = fieldsOf(document, { format: "string!", origin: "string!", files: "list!" }, "manifest");
  if (f.files.length > MAX_MEMBERS) throw new Fault("manifest: " + f.files.length + " members, limit " + MAX_MEMBERS);
  let last = null;
  const files = f.files.map((file) => {
    const m = fieldsOf(file, { name: "string!", size: "uint!", sha256: "string!" }, "manifest: files"), named = "manifest: member " + JSON.stringify(m.name.slice(0, 100));
    if (memberLine(m.name) < 0) throw new Fault(named + " is none of this format");
    if (last !== null && !memberBefore(last, m.name)) throw new Fault(named + " does not stand in its place");
    if (!/^[0-9a-f]{64}$/.test(m.sha256)) throw new Fault(named + " has no SHA-256");
    if (m.size === 0n || m.size > BigInt(MAX_FILE)) throw new Fault(named + " has " + m.size + " bytes, want 1 to " + MAX_FILE);
    last = m.name;
    return { name: m.name, size: Number(m.size), sha256: unhex(m.sha256) };
  });
  return { origin: f.origin, files };
}
