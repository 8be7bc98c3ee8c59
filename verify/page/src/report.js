// The derived members of a bundle, made anew from what was proved: the tables of
// data, README.txt and report.html.

import { utf8 } from "./bytes.js";
import { csvHeader } from "./reportrow.js";
import { accessRow, alertRow, approvalRow, closeRow, runRow } from "./reportrows.js";
import { reportModel } from "./reportmodel.js";
import { ReportTally } from "./reporttally.js";
import { TemplateWriter } from "./reporttemplate.js";
import { csvText, htmlText } from "./reporttext.js";
import { reportWords } from "./reportwords.js";

const MAX_LINES = 1000000; // of a CSV, its header included; the JSON lines are cut with it
const FLUSH_AT = 1 << 16; // characters that are gathered before they are written

/** A member that is being written. */
class ReportMember {
  constructor(sink, name, start = "") {
    this.to = sink.create(name);
    this.held = [start];
    this.size = start.length;
  }

  add(text) {
    this.held.push(text);
    this.size += text.length;
    if (this.size >= FLUSH_AT) this.flush();
  }

  flush() {
    if (this.size > 0) this.to.write(utf8(this.held.join("")));
    this.held = [];
    this.size = 0;
  }

  close() {
    this.flush();
    this.to.close();
  }
}

/**
 * Writes what a report consists of into a sink, while the accesses that a question
 * asks for pass by. It keeps the first sentences of each list and counts, never the
 * accesses. Arguments are those of Go's verify/bundle/report, see its types.go.
 */
export class ReportWriter {
  /**
   * @param {object} head report.Head
   * @param {{create: function(string): {write: function(Uint8Array), close: function()}}} sink
   */
  constructor(head, sink) {
    this.head = head;
    this.sink = sink;
    this.words = reportWords();
    this.offsets = reportOffsets(head.Question);
    this.sentences = new TemplateWriter(this.words.picks);
    this.tally = new ReportTally(this.words);
    this.files = 0; // of accesses, opened so far
    this.nextFile();
    this.alerts = this.table("data/alerts.csv", "alerts");
    this.closes = this.table("data/closes.csv", "closes");
    this.htmlBytes = null;
  }

  /** Begins the next file of accesses. */
  nextFile() {
    this.csv?.close();
    this.lines?.close();
    this.files++;
    this.written = 1;
    this.lines = null;
    this.csv = this.table(`data/accesses-${String(this.files).padStart(3, "0")}.csv`, "accesses");
  }

  table(name, table) {
    return new ReportMember(this.sink, name, csvHeader(this.words.tables.get(table)));
  }

  /** Sets the sentence of a row and returns it. */
  sentence(row) {
    const sentence = this.sentences.write(row.table.template, [row]);
    row.text("sentence", sentence);
    return sentence;
  }

  /** Takes the next access. */
  answer(answer) {
    if (this.written === MAX_LINES) this.nextFile();
    this.lines ??= new ReportMember(this.sink, `data/accesses-${String(this.files).padStart(3, "0")}.jsonl`);
    const row = accessRow(this.words.tables.get("accesses"), this.offsets, answer);
    const sentence = this.sentence(row);
    this.written++;
    this.tally.access(answer, row, sentence);
    this.csv.add(row.csvLine());
    this.lines.add(row.jsonLine());
  }

  /** Takes the next alert. */
  alert(alert) {
    const row = alertRow(this.words.tables.get("alerts"), this.offsets, alert);
    this.tally.alerts.add(row, this.sentence(row), true);
    this.alerts.add(row.csvLine());
  }

  /** Takes the next close of the log. */
  logClose(close) {
    const row = closeRow(this.words.tables.get("closes"), this.offsets, close);
    this.tally.closes.add(row, this.sentence(row), false);
    this.closes.add(row.csvLine());
  }

  /** Writes what can be said at the end, and closes every member. */
  finish(summary) {
    this.csv.close();
    this.lines?.close();
    this.alerts.close();
    this.closes.close();
    this.whole("data/columns.csv", this.dictionary());
    this.approvals(summary);
    this.runs(summary);
    const model = reportModel(this.head, summary, this.tally, this.offsets);
    this.whole("README.txt", this.sentences.write(this.words.readme, [model]));
    const page = new TemplateWriter(this.words.picks, htmlText).write(this.words.report, [model]);
    this.htmlBytes = utf8(page);
    this.whole("report.html", page);
  }

  approvals(summary) {
    const member = this.table("data/approvals.csv", "approvals");
    for (const approved of summary.Approvals) {
      const row = approvalRow(this.words.tables.get("approvals"), this.offsets, approved);
      this.tally.approvals.add(row, this.sentence(row), false);
      member.add(row.csvLine());
    }
    member.close();
  }

  runs(summary) {
    const member = this.table("data/runs.csv", "runs");
    for (const run of summary.Runs) {
      const row = runRow(this.words.tables.get("runs"), run);
      this.tally.runs.add(row, this.sentence(row), !run.Proved);
      if (run.Proved) this.tally.numbered++;
      member.add(row.csvLine());
    }
    member.close();
  }

  /** What each column means. */
  dictionary() {
    let out = "\ufefftable,column,type,about\r\n";
    for (const table of this.words.tables.values()) {
      for (const c of table.columns) out += [table.name, c.name, c.type, c.about].map(csvText).join(",") + "\r\n";
    }
    return out;
  }

  whole(name, text) {
    const member = new ReportMember(this.sink, name);
    member.add(text);
    member.close();
  }

  /** The bytes of report.html, after finish. */
  html() {
    return this.htmlBytes;
  }
}

/** The offsets of a question's zone; none where it never differs from UTC. */
function reportOffsets(question) {
  const offsets = (question?.Period?.Offsets ?? []).map((o) => ({ From: Date.parse(o.From) / 1000, Seconds: Number(o.Seconds) }));
  return offsets.every((o) => o.Seconds === 0) ? [] : offsets;
}
