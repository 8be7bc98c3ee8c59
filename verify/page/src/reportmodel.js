// The values that README.txt and report.html of a bundle are made with.

import { hex, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";
import { word } from "./words.js";
import { fingerprintWords, policyKeys } from "./fingerprint.js";
import { parseVKey } from "./note.js";
import { countScope, groupedNumber, humanTime, localText, quotedText, showText, unixClock, utcText } from "./reporttext.js";
import { MAX_LISTED, markEnds } from "./reporttally.js";

const DEMO_ORIGIN = "demo.invalid/";

/**
 * The values.
 * @param {object} head report.Head
 * @param {object} summary report.Summary
 * @param {ReportTally} tally
 * @param {{From: number, Seconds: number}[]} offsets of the question's zone
 */
export function reportModel(head, summary, tally, offsets) {
  const model = {};
  modelQuestion(model, head, offsets);
  modelLog(model, head, summary);
  modelClaims(model, summary);
  modelMaps(model, head, summary, tally);
  modelLosses(model, summary.Losses ?? []);
  tally.describe(model);
  for (const [name, list] of [["alert", tally.alerts], ["approval", tally.approvals], ["close", tally.closes]]) {
    model[name + "_list"] = markEnds(list.entries);
    model[name + "s"] = countScope(list.total);
    model[name + "s_left"] = list.left();
  }
  model.runs = markEnds(tally.runs.entries);
  model.runs_left = tally.runs.left();
  model.numbered = countScope(tally.numbered);
  model.numbered_total = countScope(tally.runs.total);
  model.one_offs = countScope(summary.OneOffs);
  return model;
}

/** The scope of a question: accesses, streams, range or log. */
export function questionScope(question) {
  if (question.Log) return "log";
  if (question.Range) return "range";
  return (question.Streams ?? []).length > 0 ? "streams" : "accesses";
}

function modelQuestion(model, head, offsets) {
  const q = head.Question, scope = questionScope(q);
  model.case = showText(q.Case ?? "");
  model.item = showText(q.Item ?? "");
  model.asked_by = showText(q.AskedBy ?? "");
  model.recipient = showText(q.Recipient ?? "");
  model.scope = scope;
  model.is_accesses = scope === "accesses";
  model.tiles = scope === "log" || scope === "range";
  if (scope === "range") model.range = { first: String(q.Range.First), end: String(q.Range.End) };
  if (scope === "streams") model.streams = markEnds(q.Streams.map((s) => ({ name: showText(s) })));
  for (const [name, selector] of [["from", q.From], ["to", q.To]]) {
    if (!selector || !(selector.Domain || selector.Tier || selector.Function || selector.Owner)) continue;
    model[name] = { domain: showText(selector.Domain ?? ""), tier: showText(selector.Tier ?? ""), function: showText(selector.Function ?? ""), owner: showText(selector.Owner ?? "") };
  }
  model.unknown = markEnds((head.Unknown ?? []).map((u) => ({ text: showText(u.Text) })));
  if (head.Parts > 1) {
    model.part = String(head.Part);
    model.parts = String(head.Parts);
    model.first = String(head.First);
    model.end = String(head.End);
  }
  const p = q.Period;
  if (!p) return;
  model.zone = showText(p.Zone);
  model.local = offsets.length > 0;
  model.period = {
    text: showText(p.Text), zone: showText(p.Zone), by: p.By, start: periodBound(p.Start), end: periodBound(p.End),
    start_local: periodBoundLocal(p.Start, offsets), end_local: periodBoundLocal(p.End, offsets),
  };
}

/** A bound of a period, which is to the second. */
function periodBound(text) {
  return humanTime(text.replace(/Z$/, "") + ".000000000Z");
}

function periodBoundLocal(text, offsets) {
  return humanTime(localText(BigInt(Date.parse(text)) * 1000000n, offsets));
}

function modelLog(model, head, summary) {
  const checkpoint = head.Checkpoint;
  model.origin = showText(head.Origin);
  model.demo = head.Origin.startsWith(DEMO_ORIGIN);
  if (head.OpenedNS !== 0n) model.began = humanTime(utcText(head.OpenedNS));
  model.size = countScope(checkpoint.Size);
  model.root = hex(checkpoint.Root);
  if (head.Close) {
    model.close = { index: String(head.CloseIndex), cut: String(head.Cut), end: humanTime(utcText(head.Close.period_end_ns)) };
  }
  model.streams_selected = countScope((head.Selected ?? []).length);
  model.checkpoints = countScope((summary.Checkpoints ?? []).length);
  model.witnesses = markEnds((checkpoint.Witnesses ?? []).map((w) => ({ name: showText(w.Name), at: unixClock(w.Unix) })));
  model.keys = markEnds(modelKeys(head.Policy));
}

/** The keys that the text of a policy names, in its order. */
function modelKeys(policy) {
  const text = typeof policy === "string" ? policy : new TextDecoder("utf-8", { ignoreBOM: true }).decode(policy ?? new Uint8Array(0));
  return policyKeys(text).filter((k) => isVKey(k.VKey)).map(({ Role, Name, VKey }) => {
    const sum = sha256(utf8(VKey)), words = fingerprintWords(sum);
    const key = VKey.slice(0, VKey.indexOf("+"));
    return {
      role: Role, name: showText(key === Name ? Name : Name + " (" + key + ")"), sha256: hex(sum),
      words: words.join(" "), words_1: words.slice(0, 6).join(" "), words_2: words.slice(6).join(" "),
    };
  });
}

function isVKey(vkey) {
  try {
    parseVKey(vkey);
    return true;
  } catch {
    return false;
  }
}

function modelClaims(model, summary) {
  const claims = summary.Claims.map((c) => ({
    name: showText(c.Name), state: c.State, failed: c.State === "failed", detail: showText(c.Detail).replace(/\.$/, ""),
  }));
  model.claims = markEnds(claims);
  model.claims_total = String(claims.length);
  model.proved = String(claims.filter((c) => c.state === "proved").length);
}

function modelLosses(model, losses) {
  const listed = losses.slice(0, MAX_LISTED);
  model.losses = markEnds(listed.map((l) => ({ producer: showText(l.Producer), asked: l.Asked, gaps: countScope(l.Gaps), silences: countScope(l.Silences) })));
  model.losses_left = countScope(losses.length - listed.length);
}

function modelMaps(model, head, summary, tally) {
  const maps = [], flows = [];
  let before = new Map(), total = 0;
  for (const version of summary.Maps) {
    const doc = version.Document, now = new Map();
    maps.push({
      index: String(version.Index), since: humanTime(utcText(version.LogTimeNS)), firm: showText(doc.firm), author: showText(version.Body.author),
      domains: groupedNumber(doc.domains.length), flows: groupedNumber(doc.flows.length),
    });
    for (const flow of doc.flows) {
      if (!isAsked(head.Sources, flow.from) || !isAsked(head.Targets, flow.to)) continue;
      let row = before.get(flow.id);
      if (row === undefined || !sameValue(row.flow, flow)) {
        row = { flow, scope: flowScope(flow, version), accesses: 0 };
        total++;
        if (flows.length < MAX_LISTED) flows.push(row.scope);
      }
      row.accesses += tally.flowCount(version.Index, flow.id);
      row.scope.accesses = groupedNumber(row.accesses);
      now.set(flow.id, row);
    }
    before = now;
  }
  model.maps = markEnds(maps);
  model.flows = markEnds(flows);
  model.flows_left = countScope(total - flows.length);
}

/** Whether an id is among those that a side of the question stands for; null: any. */
function isAsked(ids, id) {
  return ids === null || ids === undefined || ids.includes(id);
}

/** Whether two values of decoded messages are the same. */
function sameValue(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => sameValue(a[key], b[key]));
}

function flowScope(flow, version) {
  const scope = {
    id: showText(flow.id), from: showText(flow.from), to: showText(flow.to), actions: showText(flow.actions.join(", ")),
    purpose: quotedText(flow.purpose), ticket: showText(flow.ticket), approver: showText(flow.approver),
    least_proof: word("SourceProof", flow.least_proof), needs_approval: flow.needs_approval, map: String(version.Index),
  };
  if (flow.not_before_ns !== 0n) scope.valid_from = humanTime(utcText(flow.not_before_ns));
  if (flow.not_after_ns !== 0n) scope.valid_until = humanTime(utcText(flow.not_after_ns));
  return scope;
}
