// Tests src/report*.js against the derived members that Go's verify/bundle/report
// makes of the same input: those of verify/bundle/report/testdata, or of a folder
// that the command line names.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { unhex } from "../src/bytes.js";
import { parseEntry } from "../src/entry.js";
import { decode } from "../src/proto.js";
import { hashLeaf } from "../src/sha256.js";
import { ReportWriter } from "../src/report.js";
import { parseTemplate, TemplateWriter } from "../src/reporttemplate.js";
import { ok } from "./lib.mjs";
import { csvText, humanTime, jsonText, localText, phraseText, unixClock, utcText } from "../src/reporttext.js";

const test = (name, got, want) => ok(name, got === want, got === want ? "" : firstDifference(String(got), String(want)));

function firstDifference(got, want) {
  let at = 0;
  while (at < got.length && got[at] === want[at]) at++;
  const from = Math.max(0, at - 60);
  return `differs at ${at}: ${JSON.stringify(got.slice(from, at + 60))}, want ${JSON.stringify(want.slice(from, at + 60))}`;
}

const folder = process.argv[2];
const scenes = folder ? pathToFileURL(folder + "/") : new URL("../../bundle/report/testdata/", import.meta.url);
const sectionNames = ["", "first-hand", "second-hand", "backfill", "late", "unmapped"];
const optional = (message, digits) => (digits ? decode(message, unhex(digits)) : null);

/** Reads JSON whose integers may be larger than a double holds: those become text. */
function readInput(file) {
  return JSON.parse(readFileSync(file, "utf8").replace(/(": |\n\s*)(-?\d{15,})(,?\n)/g, '$1"$2"$3'));
}

function questionOf(q) {
  const selector = (s) => ({ Domain: s?.domain ?? "", Tier: s?.tier ?? "", Function: s?.function ?? "", Owner: s?.owner ?? "" });
  const p = q.period;
  return {
    Case: q.case ?? "", Item: q.item ?? "", AskedBy: q.asked_by ?? "", Recipient: q.recipient ?? "", From: selector(q.from), To: selector(q.to),
    Streams: q.streams ?? [], Range: q.range ? { First: BigInt(q.range.first), End: BigInt(q.range.end) } : null, Log: q.log ?? false,
    Period: p ? { Text: p.text, Zone: p.zone, By: p.by, Start: p.start, End: p.end, Offsets: p.offsets.map((o) => ({ From: o.from, Seconds: o.seconds, Name: o.name })) } : null,
  };
}

function headOf(h) {
  return {
    Origin: h.origin, Question: questionOf(h.question), Part: h.part, Parts: h.parts, First: BigInt(h.first), End: BigInt(h.end), Policy: h.policy,
    Checkpoint: { Origin: h.origin, Size: BigInt(h.size), Root: unhex(h.root), Witnesses: (h.witnesses ?? []).map((w) => ({ Name: w.name, Unix: BigInt(w.unix) })) },
    CloseIndex: BigInt(h.close_index), Close: optional("Close", h.close), Cut: BigInt(h.cut), OpenedNS: BigInt(h.opened_ns),
    Selected: new Array(h.selected), Sources: h.sources ?? null, Targets: h.targets ?? null,
    Unknown: (h.unknown ?? []).map((Text) => ({ Text })),
  };
}

function approvalOf(a) {
  return {
    Index: BigInt(a.index), LogTimeNS: BigInt(a.log_time_ns), Body: decode("Approval", unhex(a.body)),
    Revocation: BigInt(a.revocation), RevokedNS: BigInt(a.revoked_ns), Revoked: optional("Revocation", a.revoked),
  };
}

function answerOf(a) {
  const bytes = unhex(a.entry), entry = parseEntry(bytes);
  return {
    Entry: entry, Event: decode("Event", entry.body), Leaf: hashLeaf(bytes), Section: sectionNames.indexOf(a.section),
    Grounds: { Flow: optional("Flow", a.flow), Approval: a.approval ? approvalOf(a.approval) : null },
  };
}

function summaryOf(s, head) {
  return {
    Head: head, OneOffs: Number(s.one_offs), Losses: s.losses ?? [], Checkpoints: new Array(s.checkpoints),
    Claims: (s.claims ?? []).map((c) => ({ Name: c.name, State: c.state, Detail: c.detail })),
    Runs: (s.runs ?? []).map((r) => ({
      Producer: r.producer, Run: unhex(r.run), Opened: optional("RunOpened", r.opened), Answers: Number(r.answers), First: BigInt(r.first), Last: BigInt(r.last),
      Signed: BigInt(r.signed), Gaps: Number(r.gaps), Lost: BigInt(r.lost), Declined: Number(r.declined), Ended: r.ended, Proved: r.proved, Reason: r.reason,
    })),
    Approvals: (s.approvals ?? []).map(approvalOf),
    Maps: (s.maps ?? []).map((m) => ({ Index: BigInt(m.index), LogTimeNS: BigInt(m.log_time_ns), Body: decode("DomainMap", unhex(m.body)), Document: decode("MapDocument", unhex(m.document)) })),
  };
}

class MemorySink {
  constructor() {
    this.members = new Map();
    this.open = new Set();
  }

  create(name) {
    if (this.members.has(name)) throw new Error(`${name} is created twice`);
    const chunks = [];
    this.members.set(name, chunks);
    this.open.add(name);
    return {
      write: (bytes) => chunks.push(Buffer.from(bytes)),
      close: () => {
        if (!this.open.delete(name)) throw new Error(`${name} is closed twice`);
      },
    };
  }
}

function runScene(name) {
  const input = readInput(new URL(`${name}/input.json`, scenes));
  const sink = new MemorySink(), head = headOf(input.head);
  const writer = new ReportWriter(head, sink);
  for (let i = 0; i < Math.max(input.repeat ?? 1, 1); i++) for (const a of input.answers ?? []) writer.answer(answerOf(a));
  for (const text of input.alerts ?? []) {
    const entry = parseEntry(unhex(text));
    writer.alert({ Entry: entry, Alert: decode("Alert", entry.body) });
  }
  for (const text of input.closes ?? []) {
    const bytes = unhex(text), entry = parseEntry(bytes);
    writer.logClose({ Entry: entry, Close: decode("Close", entry.body), Leaf: hashLeaf(bytes) });
  }
  writer.finish(summaryOf(input.summary, head));
  test(`${name}: all members are closed`, sink.open.size, 0);
  const sums = readFileSync(new URL(`${name}/SHA256SUMS`, scenes), "utf8").trimEnd().split("\n").map((line) => line.split("  "));
  test(`${name}: members`, [...sink.members.keys()].sort().join(" "), sums.map(([, member]) => member).sort().join(" "));
  for (const [sum, member] of sums) {
    const bytes = Buffer.concat(sink.members.get(member) ?? []);
    const got = createHash("sha256").update(bytes).digest("hex");
    let want = null;
    try {
      want = readFileSync(new URL(`${name}/out/${member}`, scenes), "utf8");
    } catch {
      // a scene that has the sums alone
    }
    if (got !== sum && want !== null) test(`${name}/${member}`, bytes.toString(), want);
    else test(`${name}/${member}`, got, sum);
  }
  test(`${name}: html`, Buffer.from(writer.html()).equals(Buffer.concat(sink.members.get("report.html"))), true);
}

for (const entry of readdirSync(scenes, { withFileTypes: true })) if (entry.isDirectory()) runScene(entry.name);

const offsets = [{ From: -62135596800, Seconds: -17762 }, { From: 0, Seconds: 19800 }];
test("utc before 1970", utcText(-1n), "1969-12-31T23:59:59.999999999Z");
test("local with seconds", localText(-1n, offsets), "1969-12-31T19:03:57.999999999-04:56:02");
test("local", humanTime(localText(1500000n, offsets)), "1970-01-01 05:30:00.001500 +05:30");
test("no local", localText(0n, []), "");
test("year 10000", unixClock(253402300800n), "10000-01-01 00:00:00 UTC");
test("the last second", unixClock((1n << 63n) - 1n), "292277026596-12-04 15:30:07 UTC");
test("hidden characters", phraseText("a\u202e\u201c\u{e0041}\n\u00ad"), "a<U+202E><U+201C><U+E0041><U+000A><U+00AD>");
test("long", phraseText("\u{1f600}".repeat(201)), "\u{1f600}".repeat(197) + "...");
test("not too long", phraseText("\u{1f600}".repeat(200)), "\u{1f600}".repeat(200));
test("csv", ["=1", "-1", "'x", 'a"b', "a,b", "@\n", ""].map(csvText).join("|"), "'=1|'-1|''x|\"a\"\"b\"|\"a,b\"|\"'@\n\"|");
test("json", jsonText('"\\\u0000\u007f\u2028'), '"\\"\\\\\\u0000\u007f\u2028"');

const picks = new Map([["p", new Map([["x", parseTemplate("X{{a}}")], ["*", parseTemplate("*")]])]]);
const template = (text, scope) => new TemplateWriter(picks, (s) => `<${s}>`).write(parseTemplate(text), [scope]);
test("template value", template("{{a}}{{b}}{{n}}", { a: "1", n: true }), "<1>");
test("template sections", template("{{#l}}{{a}}{{b}}{{/l}}{{^l}}none{{/l}}", { b: "o", l: [{ a: "1" }, { a: "2", b: "" }] }), "<1><o><2><>");
test("template empty list", template("{{#l}}x{{/l}}{{^l}}none{{/l}}", { l: [] }), "none");
test("template dotted", template("{{#c.any}}{{c.n}}{{/c.any}}{{c.x}}{{d.n}}", { c: { n: "5", any: true } }), "<5>");
test("template picks", template("{{>p a}}{{>p b}}{{>q a}}", { a: "x" }), "X<x>*");
test("template own names only", template("{{constructor}}{{#toString}}x{{/toString}}", {}), "");
for (const bad of ["{{a", "{{#a}}", "{{/a}}", "{{}}", "{{#a}}{{/b}}"]) {
  let threw = false;
  try {
    parseTemplate(bad);
  } catch {
    threw = true;
  }
  test(`template ${bad} is refused`, threw, true);
}
