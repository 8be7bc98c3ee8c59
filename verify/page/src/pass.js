// One pass over a bundle: reads what is no function of other members, proves it,
// and hands what it proves to the report, whose members it so makes anew.

import { parseAnswer } from "./answer.js";
import { equal, u32be, u64be, utf8 } from "./bytes.js";
import { checkCloseChain, checkCloseEntry } from "./close.js";
import { DerivedSink } from "./derived.js";
import { Fault } from "./errors.js";
import { checkSigned, openNote, readHistory } from "./history.js";
import { Judge, NO_GROUNDS } from "./judge.js";
import { inMember } from "./json.js";
import { hasPlace } from "./members.js";
import { parsePolicy } from "./policy.js";
import { loggedWindow, occurredIn, parseQuestion } from "./question.js";
import { domainOfProducer } from "./select.js";
import { compositeHash, hashLeaf } from "./sha256.js";
import { StreamAnswer } from "./streamanswer.js";
import { AnswerWindow } from "./streams.js";
import { takeTiles } from "./tileanswer.js";

const QUESTION = "question.json", ANSWER = "answer.json", POLICY = "policy.txt";
const MAX_SMALL = 1 << 20, MAX_ANSWER = 16 << 20, MAX_QUESTION_FILE = 4 << 20;
const ALERT_SILENCE = 8, ALERT_GAP = 20;
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
  losses = new Map(); // what alerts say that producers did not report, by producer
  gaps = 0; // entries in the window by which numbers are declared as lost, of runs with answers or without
  keys = null; // a Reign: the keys that the log has had; null: not known
  verdicts = []; // answers by verdict
  alerts = []; // alerts by type
  closing = null; // the known close before: {close, index}
  ns = -(1n << 63n); // log time of the entry before

  /** @param {function} tick awaited now and then with the bytes that were read */
  constructor(archive, tick) {
    this.archive = archive;
    this.tick = tick;
    this.sink = new DerivedSink(archive);
  }

  /** Runs the pass; throws a Fault or Newer. */
  async run() {
    await this.begin();
    await (this.question.Range !== null || this.question.Log ? takeTiles(this) : new StreamAnswer(this).run());
    this.sink.finish();
  }

  /** Reads what says which answer it is, and of which checkpoint. */
  async begin() {
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
    const stray = z.names.find((name) => !hasPlace(name, this.question));
    if (stray !== undefined) throw new Fault(stray + ": it has no place in an answer to this question", { member: stray });
    this.policy = policy;
    this.head = {
      Origin: a.origin, Question: this.question, Part: a.part, Parts: a.parts, First: a.first, End: a.end, Checkpoint: opened, Policy: text,
      CloseIndex: 0n, Close: null, Cut: 0n, Opened: null, OpenedNS: 0n, Selected: [], Sources: null, Targets: null, Unknown: [],
    };
    this.summary = {
      Head: this.head, Claims: [], Answers: 0, Sections: [0, 0, 0, 0, 0, 0], Verdicts: [], Runs: [], OneOffs: 0, Losses: [], Alerts: [], Closes: 0,
      Approvals: [], Maps: [], Checkpoints: [], FirstNS: 0n, LastNS: 0n,
    };
    const [lo, hi] = loggedWindow(this.question);
    this.window = new AnswerWindow({ first: a.first, end: a.end, lo, hi, runsFirst: a.runsFirst ?? 0n, runsEnd: a.runsEnd ?? 0n });
  }

  /** Takes the log time of the next entry, and returns its leaf hash. */
  next(e) {
    if (e.head.log_time_ns < this.ns) throw new Fault("its log time is before that of an earlier entry");
    this.ns = e.head.log_time_ns;
    return hashLeaf(e.bytes);
  }

  /** Takes the keys that the log has had: they may have signed the checkpoint, and earlier ones. */
  async takeKeys(reign) {
    this.keys = reign;
    await checkSigned(this.archive, reign);
    this.summary.Checkpoints = await readHistory(this.archive, this.policy, reign, this.head.Checkpoint);
  }

  writeMaps(versions) {
    this.summary.Maps = versions;
    for (const v of versions) {
      const w = this.sink.create("maps/" + String(v.Index).padStart(20, "0") + ".yaml");
      w.write(v.Document.yaml);
      w.close();
    }
  }

  takeClose(e, leaf, reported) {
    const c = checkCloseEntry(e), before = this.closing;
    if (before !== null && c.previous_close === before.index + 1n) checkCloseChain(before.close, before.index, c);
    this.closing = { close: c, index: e.place.index };
    if (!reported) return;
    this.summary.Closes++;
    this.out.logClose({ Entry: e, Close: c, Leaf: leaf });
  }

  takeAlert(e) {
    const m = e.message;
    const id = compositeHash("alert", u32be(m.type), utf8(m.subject), u64be(m.period_start_ns), u64be(m.period_end_ns));
    if (!equal(id, m.id)) this.differs(e.place.index, "the alert's id is not that of its type, subject and period");
    this.takeLoss(m);
    this.alerts[m.type] = (this.alerts[m.type] ?? 0) + 1;
    this.out.alert({ Entry: e, Alert: m });
  }

  /** Counts an alert that says that reports are missing: those are of no pair, and so in every file. */
  takeLoss(m) {
    if (m.type !== ALERT_GAP && m.type !== ALERT_SILENCE) return;
    const asked = m.producer !== "" && (this.head.Sources?.includes(domainOfProducer(m.producer)) ?? false);
    const loss = this.losses.get(m.producer) ?? { Producer: m.producer, Asked: asked, Gaps: 0, Silences: 0 };
    if (m.type === ALERT_GAP) loss.Gaps++;
    else loss.Silences++;
    this.losses.set(m.producer, loss);
  }

  /** Takes an access, which may be an answer where it is asked for; grounds are those of its verdict. */
  async takeAccess(e, leaf, grounds, asked, inWindow, inRuns) {
    const event = e.message, answers = asked && inWindow && occurredIn(this.question, event.occurred_at_ns);
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
  judged(e, event) {
    try {
      return this.judge.check(e, event);
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      this.differs(e.place.index, err.message);
      return NO_GROUNDS;
    }
  }

  /** The index of the first entry that fails a claim; null: none. */
  failedAt() {
    let at = this.misjudged?.index ?? null;
    for (const r of this.runs?.faults() ?? []) if (at === null || r.index < at) at = r.index;
    return at;
  }

  differs(index, message) {
    this.misjudged ??= { index, message };
  }

}
