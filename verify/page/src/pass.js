// One pass over a bundle: reads what is no function of other members, proves it,
// and hands what it proves to the report, whose members it so makes anew.

import { parseAnswer } from "./answer.js";
import { equal, hex, u32be, u64be, utf8 } from "./bytes.js";
import { finishClaims } from "./claims.js";
import { checkCloseChain, checkCloseEntry } from "./close.js";
import { DerivedSink } from "./derived.js";
import { streamKeyOf } from "./entry.js";
import { Fault, Newer } from "./errors.js";
import { openNote, readHistory } from "./history.js";
import { Judge } from "./judge.js";
import { inMember } from "./json.js";
import { entryFault, EntryStream, KnownEntries } from "./known.js";
import { parsePolicy } from "./policy.js";
import { loggedWindow, occurredIn, parseQuestion } from "./question.js";
import { ReportWriter } from "./report.js";
import { checkRows, Fold, leftOver, memberFault, readRows } from "./rows.js";
import { FollowedRuns } from "./runs.js";
import { GOVERNED, Scope } from "./select.js";
import { compositeHash, hashLeaf } from "./sha256.js";
import { AnswerWindow, SelectedStream, WITHIN } from "./streams.js";
import { KIND, word } from "./words.js";

const QUESTION = "question.json", ANSWER = "answer.json", POLICY = "policy.txt", TREE = "tree.hashes", STREAMS = "streams.bin";
const GOVERNANCE_FILE = "governance.bin";
const MAX_SMALL = 1 << 20, MAX_ANSWER = 16 << 20, MAX_QUESTION_FILE = 4 << 20;
const ALERT_SILENCE = 8;
const SECTION = Object.freeze({ firstHand: 1, secondHand: 2, backfill: 3, late: 4, unmapped: 5 });

/** The section of the report in which an answer stands. */
function sectionOf(e) {
  const odd = (id) => id === "?unmapped" || id === "?overflow";
  if (odd(e.place.source) || odd(e.place.target)) return SECTION.unmapped;
  if (e.place.late) return SECTION.late;
  if (e.head.provenance === 3) return SECTION.backfill;
  return e.head.provenance === 2 ? SECTION.secondHand : SECTION.firstHand;
}

/** A check in progress. Its summary is under the bundle's own policy. */
export class BundlePass {
  judge = new Judge();
  misjudged = null; // the first judgement that differs: {index, message}
  silences = 0;
  gaps = 0;
  verdicts = []; // answers by verdict
  alerts = []; // alerts by type
  streams = new Map(); // by key in hex
  #closing = null; // the known close before: {close, index}
  #ns = -(1n << 63n); // log time of the entry before

  /** @param {function} tick awaited now and then with the bytes that were read */
  constructor(archive, tick) {
    this.archive = archive;
    this.tick = tick;
    this.sink = new DerivedSink(archive);
  }

  /** Runs the pass; throws a Fault or Newer. */
  async run() {
    await this.#begin();
    if (this.question.Range !== null || this.question.Log) throw new Newer("a question for a range or a whole log");
    const versions = await this.#governance();
    await this.#table(versions);
    await this.#entries();
    this.sink.finish();
  }

  /** Reads what says which answer it is, and of which checkpoint. */
  async #begin() {
    const z = this.archive;
    const read = async (name, limit, parse) => {
      const b = await z.read(name, limit);
      return inMember(name, () => parse(b));
    };
    this.question = await read(QUESTION, MAX_QUESTION_FILE, parseQuestion);
    const a = (this.answer = await read(ANSWER, MAX_ANSWER, (b) => parseAnswer(b, this.question)));
    const text = await z.read(POLICY, MAX_SMALL), policy = inMember(POLICY, () => parsePolicy(text));
    const opened = await openNote(z, "checkpoint", policy);
    if (opened.Origin !== a.origin || opened.Size !== a.size || a.origin !== z.manifest.origin) {
      throw new Fault(ANSWER + ": answer, checkpoint and manifest are of different logs or sizes", { member: ANSWER });
    }
    const history = await readHistory(z, policy, opened);
    this.head = {
      Origin: a.origin, Question: this.question, Part: a.part, Parts: a.parts, First: a.first, End: a.end, Checkpoint: opened, Policy: text,
      CloseIndex: 0n, Close: null, Cut: 0n, Opened: null, OpenedNS: 0n, Selected: [], Sources: null, Targets: null,
    };
    this.summary = {
      Head: this.head, Claims: [], Answers: 0, Sections: [0, 0, 0, 0, 0, 0], Verdicts: [], Runs: [], OneOffs: 0, Alerts: [], Closes: 0,
      Approvals: [], Maps: [], Checkpoints: history, FirstNS: 0n, LastNS: 0n,
    };
    const [lo, hi] = loggedWindow(this.question);
    this.window = new AnswerWindow({ first: a.first, end: a.end, lo, hi, runsFirst: a.runsFirst ?? 0n, runsEnd: a.runsEnd ?? 0n });
  }

  /** Reads the entries that maps and approvals follow from, a first time; the versions of the map below the cut. */
  async #governance() {
    const input = new EntryStream(this.archive, GOVERNANCE_FILE), judge = new Judge();
    for (;;) {
      const e = await input.next();
      if (e === null) throw new Fault(GOVERNANCE_FILE + ": the entry of the close is not its last", { member: GOVERNANCE_FILE });
      try {
        if (e.place.index >= this.answer.cut) {
          this.#closingEntry(e);
          if (await input.next() !== null) throw new Fault("more entries after that of the close");
          return judge.versions;
        }
        if (!GOVERNED.includes(e.place.kind)) throw new Fault("an entry of kind " + word("Kind", e.place.kind) + " stands elsewhere");
        judge.take(e.place.index, e.head.log_time_ns, e.place.kind, e.body);
        if (e.place.kind === KIND["origin-opened"] && e.place.index === 0n) this.head.Opened = e.message, this.head.OpenedNS = e.head.log_time_ns;
      } catch (err) {
        throw entryFault(e, err);
      }
    }
  }

  /** Takes the entry of the close whose tables are used. */
  #closingEntry(e) {
    const c = checkCloseEntry(e), head = this.head;
    if (e.place.index !== this.answer.close || c.cut !== this.answer.cut) {
      throw new Fault("it is the close at " + e.place.index + " with cut " + c.cut + ", not that of the answer");
    }
    if (head.Opened === null || head.Opened.origin !== this.answer.origin) throw new Fault("entry 0 is not here, or opens another log");
    head.Close = c, head.CloseIndex = e.place.index, head.Cut = c.cut;
  }

  /** Reads the rows that are known and the streams that they select. */
  async #table(versions) {
    const rows = await readRows(this.archive, this.head.Close.streams);
    const scope = new Scope(this.question, versions, this.answer.domains);
    for (const r of rows) scope.note(r.key);
    checkRows(rows, this.head.Close.streams.rows, scope.prefixes());
    const input = this.archive.stream(STREAMS);
    for (const r of rows) {
      if (!scope.selects(r.key)) continue;
      const s = new SelectedStream(scope, r);
      try {
        await s.read(input);
      } catch (err) {
        throw memberFault(STREAMS, s.name + ": ", err);
      }
      this.streams.set(hex(r.key), s);
      if (s.asked) this.head.Selected.push({ Key: r.key, Count: r.count });
    }
    leftOver(input);
    if (scope.exact === null) this.head.Sources = scope.sources, this.head.Targets = scope.targets;
    this.#writeMaps(versions);
  }

  #writeMaps(versions) {
    this.summary.Maps = versions;
    for (const v of versions) {
      const w = this.sink.create("maps/" + String(v.Index).padStart(20, "0") + ".yaml");
      w.write(v.Document.yaml);
      w.close();
    }
  }

  /** Reads all known entries in the order of the log. */
  async #entries() {
    const z = this.archive, hashes = z.stream(TREE), numbers = z.stream("numbers.bin"), known = new KnownEntries(z);
    this.tree = new Fold(hashes);
    this.runs = new FollowedRuns(this.answer.runs, numbers);
    this.out = new ReportWriter(this.head, this.sink);
    for (let n = 0, bytes = 0; ; n++) {
      const e = await known.next();
      if (e === null) break;
      try {
        await this.#take(e);
      } catch (err) {
        throw entryFault(e, err);
      }
      bytes += e.bytes.length;
      if (n % 256 === 255) await this.tick(bytes), bytes = 0;
    }
    known.finish();
    await this.#finish(hashes, numbers);
  }

  async #fold(index, leaf) {
    try {
      await this.tree.add(index, leaf);
    } catch (err) {
      throw memberFault(TREE, "", err);
    }
  }

  /** Takes the next known entry. */
  async #take(e) {
    const { head, place } = e, index = place.index;
    if (head.log_time_ns < this.#ns) throw new Fault("its log time is before that of an earlier entry");
    this.#ns = head.log_time_ns;
    const leaf = hashLeaf(e.bytes);
    if (index >= this.head.Cut) return this.#takeClosing(e, leaf);
    await this.#fold(index, leaf);
    const s = this.streams.get(hex(streamKeyOf(place))), w = this.window;
    if (s === undefined) throw new Fault("its stream is none that the question needs");
    s.add(place, leaf, w.place(s.kind, s.about, index, head.log_time_ns));
    const inWindow = w.place(KIND.access, false, index, head.log_time_ns) === WITHIN;
    const inRuns = index >= w.runsFirst && index < w.runsEnd;
    if (inWindow && !inRuns && this.answer.domains.length > 0) {
      throw new Fault("it is in the window, but not in that of runs, [" + w.runsFirst + ", " + w.runsEnd + ")");
    }
    if (s.kind === KIND.access) return this.#takeAccess(e, s, leaf, inWindow, inRuns);
    this.#judged(e, null);
    this.judge.take(index, head.log_time_ns, place.kind, e.body);
    await this.runs.follow(e, e.message, inRuns, inWindow);
    if (s.kind === KIND.close) this.#takeClose(e, leaf, inWindow);
    if (s.kind === KIND.alert && inWindow) this.#takeAlert(e);
  }

  /** Takes the close whose tables are used, the last known entry: the root at the cut is the one that it says. */
  async #takeClosing(e, leaf) {
    const { Close: c, CloseIndex, Cut: cut } = this.head;
    if (e.place.index !== CloseIndex) throw new Fault("it is not below the cut " + cut);
    try {
      await this.tree.skip(cut);
      if (!equal(this.tree.tree.root(), c.root)) throw new Fault("entries and hashes do not lead to the root at the cut " + cut);
    } catch (err) {
      throw memberFault(TREE, "", err);
    }
    await this.#fold(CloseIndex, leaf);
    const s = this.streams.get(hex(streamKeyOf(e.place))), previous = c.previous_close - 1n;
    if (s !== undefined && s.b === s.row.count && previous >= 0n && previous < cut && previous !== s.lastIndex) {
      throw new Fault("it follows close " + previous + ", the last below its cut is " + s.lastIndex);
    }
    this.#takeClose(e, leaf, true);
  }

  #takeClose(e, leaf, reported) {
    const c = checkCloseEntry(e), before = this.#closing;
    if (before !== null && c.previous_close === before.index + 1n) checkCloseChain(before.close, before.index, c);
    this.#closing = { close: c, index: e.place.index };
    if (!reported) return;
    this.summary.Closes++;
    this.out.logClose({ Entry: e, Close: c, Leaf: leaf });
  }

  #takeAlert(e) {
    const m = e.message;
    const id = compositeHash("alert", u32be(m.type), utf8(m.subject), u64be(m.period_start_ns), u64be(m.period_end_ns));
    if (!equal(id, m.id)) this.#differs(e.place.index, "the alert's id is not that of its type, subject and period");
    if (m.type === ALERT_SILENCE) this.silences++;
    this.alerts[m.type] = (this.alerts[m.type] ?? 0) + 1;
    this.out.alert({ Entry: e, Alert: m });
  }

  /** Takes an access, which may be an answer. */
  async #takeAccess(e, s, leaf, inWindow, inRuns) {
    const event = e.message, grounds = this.#judged(e, event);
    const answers = s.asked && inWindow && occurredIn(this.question, event.occurred_at_ns);
    const inRun = answers && this.runs.answer(e, event);
    await this.runs.follow(e, event, inRuns, inWindow);
    if (!answers) return;
    const sum = this.summary, section = sectionOf(e);
    sum.Answers++;
    sum.Sections[section]++;
    this.verdicts[e.place.verdict] = (this.verdicts[e.place.verdict] ?? 0) + 1;
    if (sum.FirstNS === 0n) sum.FirstNS = e.head.log_time_ns;
    sum.LastNS = e.head.log_time_ns;
    this.out.answer({
      Entry: e, Leaf: leaf, Fields: null, Event: event, Section: section, Map: this.judge.version, Grounds: grounds, Number: sum.Answers, RunKnown: inRun,
    });
  }

  /** Compares what the ledger judged of an entry. A difference is kept: it fails a claim. */
  #judged(e, event) {
    try {
      return this.judge.check(e, event);
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      this.#differs(e.place.index, err.message);
      return { Flow: null, Approval: null };
    }
  }

  /** The index of the first entry that fails a claim; null: none. */
  failedAt() {
    let at = this.misjudged?.index ?? null;
    for (const r of this.runs?.faults() ?? []) if (at === null || r.index < at) at = r.index;
    return at;
  }

  #differs(index, message) {
    this.misjudged ??= { index, message };
  }

  /** Checks what shows at the end, and ends the report. */
  async #finish(hashes, numbers) {
    try {
      await this.tree.skip(this.answer.size);
      if (!equal(this.tree.tree.root(), this.head.Checkpoint.Root)) {
        throw new Fault("entries and hashes do not lead to the root that the checkpoint signs");
      }
    } catch (err) {
      throw memberFault(TREE, "", err);
    }
    leftOver(hashes);
    leftOver(numbers);
    for (const s of this.streams.values()) {
      try {
        s.finish();
      } catch (err) {
        throw memberFault(STREAMS, "", err);
      }
    }
    const runs = this.runs.finish();
    this.#checkRuns(runs);
    finishClaims(this, runs);
    this.out.finish(this.summary);
  }

  /** The answer names the domains and runs of its answers, and no others. */
  #checkRuns(runs) {
    const found = [...this.runs.domains].sort();
    if (found.join(" ") !== this.answer.domains.join(" ")) {
      throw new Fault(ANSWER + ": the domains of the answers' producers are others", { member: ANSWER });
    }
    const idle = runs.find((r) => r.report.Answers === 0);
    if (idle !== undefined) throw new Fault(ANSWER + ": a run of " + JSON.stringify(idle.report.Producer) + " has no answer", { member: ANSWER });
  }
}
