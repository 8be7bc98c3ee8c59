// The answer to a question for accesses or streams: known entries, folded to the
// roots of the log and of their streams.

import { equal, hex } from "./bytes.js";
import { finishClaims } from "./claims.js";
import { checkCloseEntry } from "./close.js";
import { streamKeyOf } from "./entry.js";
import { Fault } from "./errors.js";
import { Judge } from "./judge.js";
import { entryFault, EntryStream, KnownEntries } from "./known.js";
import { ReportWriter } from "./report.js";
import { checkRows, Fold, leftOver, memberFault, readRows } from "./rows.js";
import { FollowedRuns } from "./runs.js";
import { GOVERNED, Scope } from "./select.js";
import { SelectedStream, WITHIN } from "./streams.js";
import { unknownWords } from "./unknown.js";
import { KIND, word } from "./words.js";

const ANSWER_FILE = "answer.json", TREE = "tree.hashes", STREAMS = "streams.bin", GOVERNANCE_FILE = "governance.bin";

/** Takes the entries of such an answer in a pass. */
export class StreamAnswer {
  streams = new Map(); // by key in hex
  #lowest = null; // known entries in the window or in that of runs are in [lowest, highest)
  #highest = 0n;

  constructor(pass) {
    this.p = pass;
  }

  async run() {
    const versions = await this.#governance();
    await this.#table(versions);
    await this.#entries();
  }

  /** Reads the entries that maps and approvals follow from, a first time; the versions of the map below the cut. */
  async #governance() {
    const input = new EntryStream(this.p.archive, GOVERNANCE_FILE), judge = new Judge();
    for (;;) {
      const e = await input.next();
      if (e === null) throw new Fault(GOVERNANCE_FILE + ": the entry of the close is not its last", { member: GOVERNANCE_FILE });
      try {
        if (e.place.index >= this.p.answer.cut) {
          this.#closingEntry(e);
          if (await input.next() !== null) throw new Fault("more entries after that of the close");
          await this.p.takeKeys(judge.reign);
          return judge.versions;
        }
        if (!GOVERNED.includes(e.place.kind)) throw new Fault("an entry of kind " + word("Kind", e.place.kind) + " stands elsewhere");
        judge.take(e.place.index, e.head.log_time_ns, e.place.kind, e.body);
        if (e.place.kind === KIND["origin-opened"] && e.place.index === 0n) this.p.head.Opened = e.message, this.p.head.OpenedNS = e.head.log_time_ns;
      } catch (err) {
        throw entryFault(e, err);
      }
    }
  }

  /** Takes the entry of the close whose tables are used. */
  #closingEntry(e) {
    const c = checkCloseEntry(e), head = this.p.head;
    if (e.place.index !== this.p.answer.close || c.cut !== this.p.answer.cut) {
      throw new Fault("it is the close at " + e.place.index + " with cut " + c.cut + ", not that of the answer");
    }
    if (head.Opened === null || head.Opened.origin !== this.p.answer.origin) throw new Fault("entry 0 is not here, or opens another log");
    head.Close = c, head.CloseIndex = e.place.index, head.Cut = c.cut;
  }

  /** Reads the rows that are known and the streams that they select. */
  async #table(versions) {
    const rows = await readRows(this.p.archive, this.p.head.Close.streams);
    const scope = new Scope(this.p.question, versions, this.p.answer.domains);
    for (const r of rows) scope.note(r.key);
    checkRows(rows, this.p.head.Close.streams.rows, scope.prefixes());
    const input = this.p.archive.stream(STREAMS);
    for (const r of rows) {
      if (!scope.selects(r.key)) continue;
      const s = new SelectedStream(scope, r);
      try {
        await s.read(input);
      } catch (err) {
        throw memberFault(STREAMS, s.name + ": ", err);
      }
      this.streams.set(hex(r.key), s);
      if (s.asked) this.p.head.Selected.push({ Key: r.key, Count: r.count });
    }
    leftOver(input);
    if (scope.exact === null) this.p.head.Unknown = unknownWords(this.p.question, versions, rows);
    if (scope.exact === null) this.p.head.Sources = scope.sources, this.p.head.Targets = scope.targets;
    this.p.writeMaps(versions);
  }

  /** Reads all known entries in the order of the log. */
  async #entries() {
    const z = this.p.archive, hashes = z.stream(TREE), numbers = z.stream("numbers.bin"), known = new KnownEntries(z);
    this.tree = new Fold(hashes);
    this.p.runs = new FollowedRuns(this.p.answer.runs, numbers);
    this.p.out = new ReportWriter(this.p.head, this.p.sink);
    for (let n = 0, bytes = 0; ; n++) {
      const e = await known.next();
      if (e === null) break;
      try {
        await this.#take(e);
      } catch (err) {
        throw entryFault(e, err);
      }
      bytes += e.bytes.length;
      if (n % 256 === 255) await this.p.tick(bytes), bytes = 0;
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
    const leaf = this.p.next(e);
    if (index >= this.p.head.Cut) return this.#takeClosing(e, leaf);
    await this.#fold(index, leaf);
    const s = this.streams.get(hex(streamKeyOf(place))), w = this.p.window;
    if (s === undefined) throw new Fault("its stream is none that the question needs");
    s.add(place, leaf, w.place(s.kind, s.about, index, head.log_time_ns));
    const inWindow = w.place(KIND.access, false, index, head.log_time_ns) === WITHIN;
    const inRuns = w.placeOfRuns(index);
    if (inWindow && inRuns !== WITHIN && this.p.answer.domains.length > 0) {
      throw new Fault("it is in the window, but not in that of runs, [" + w.runsFirst + ", " + w.runsEnd + ")");
    }
    if (inWindow || (s.about && inRuns === WITHIN)) {
      if (this.#lowest === null) this.#lowest = index;
      this.#highest = index + 1n;
    }
    const grounds = this.p.judged(e, s.kind === KIND.access ? e.message : null);
    if (s.kind === KIND.access) return this.p.takeAccess(e, leaf, grounds, s.asked, inWindow, inRuns);
    this.p.judge.take(index, head.log_time_ns, place.kind, e.body);
    await this.p.runs.follow(e, e.message, inRuns, inWindow);
    if (s.kind === KIND.gap && inWindow) this.p.gaps++;
    if (s.kind === KIND.close) this.p.takeClose(e, leaf, inWindow);
    if (s.kind === KIND.alert && inWindow) this.p.takeAlert(e);
  }

  /** Takes the close whose tables are used, the last known entry: the root at the cut is the one that it says. */
  async #takeClosing(e, leaf) {
    const { Close: c, CloseIndex, Cut: cut } = this.p.head;
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
    this.p.takeClose(e, leaf, true);
  }

  /** Checks what shows at the end, and ends the report. */
  async #finish(hashes, numbers) {
    try {
      await this.tree.skip(this.p.answer.size);
      if (!equal(this.tree.tree.root(), this.p.head.Checkpoint.Root)) {
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
    const runs = this.p.runs.finish();
    this.#checkRuns(runs);
    finishClaims(this.p, runs);
    this.p.out.finish(this.p.summary);
  }

  /** The answer names the domains and runs of its answers, and no others. */
  #checkRuns(runs) {
    const found = [...this.p.runs.domains].sort();
    if (found.join(" ") !== this.p.answer.domains.join(" ")) {
      throw new Fault(ANSWER_FILE + ": the domains of the answers' producers are others", { member: ANSWER_FILE });
    }
    const a = this.p.answer;
    if (found.length > 0 && (a.runsFirst !== this.#lowest || a.runsEnd !== this.#highest)) {
      throw new Fault(ANSWER_FILE + ": the window of runs is [" + a.runsFirst + ", " + a.runsEnd + "), its known entries are in [" + this.#lowest + ", " + this.#highest + ")", { member: ANSWER_FILE });
    }
    const idle = runs.find((r) => r.report.Answers === 0);
    if (idle !== undefined) throw new Fault(ANSWER_FILE + ": a run of " + JSON.stringify(idle.report.Producer) + " has no answer", { member: ANSWER_FILE });
  }
}
