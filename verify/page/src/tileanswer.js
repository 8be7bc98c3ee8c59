// The answer to a question for a range or the whole of a log: a plain tlog-tiles
// directory.

import { AuditState } from "./audit.js";
import { equal } from "./bytes.js";
import { finishTileClaims } from "./claims.js";
import { checkCloseEntry } from "./close.js";
import { parseBody, parseEntry } from "./entry.js";
import { Fault } from "./errors.js";
import { checkSigned } from "./history.js";
import { Judge, NO_GROUNDS } from "./judge.js";
import { entryFault } from "./known.js";
import { ReportWriter } from "./report.js";
import { memberFault } from "./rows.js";
import { FollowedRuns } from "./runs.js";
import { hashLeaf } from "./sha256.js";
import { TileReader } from "./tiles.js";
import { KIND } from "./words.js";

const ANSWER_NAME = "answer.json", CHECKPOINT_COPY = "log/checkpoint", ENTRIES_PER_BUNDLE = 256n;

/** Where the numbers of bodies would come from: there are none, for all entries are known. */
const noNumbers = Object.freeze({ name: "numbers.bin", left: 0, has: () => false });

/** Takes the entries of such an answer in a pass. */
export async function takeTiles(pass) {
  const { answer: a, question: q, head } = pass, tiles = new TileReader(pass.archive, a.size);
  await tiles.checkFiles(a.first, a.end);
  if (!equal(await tiles.root(), head.Checkpoint.Root)) {
    throw new Fault("log/tile: the tiles do not lead to the root that the checkpoint signs", { member: "log/tile" });
  }
  if (q.Log) {
    await auditLog(pass, tiles);
    await beginLog(pass, tiles);
    pass.window.runsEnd = a.size;
  }
  pass.runs = new FollowedRuns([], noNumbers, q.Log);
  pass.out = new ReportWriter(head, pass.sink);
  await eachEntry(pass, tiles, (e) => takeTiled(pass, e));
  finishTiles(pass);
}

/** Calls take with each entry of the answer, in order. */
async function eachEntry(pass, tiles, take) {
  const { first, end } = pass.answer;
  let before = null;
  for (let n = first / ENTRIES_PER_BUNDLE; n <= (end - 1n) / ENTRIES_PER_BUNDLE; n++) {
    const { name, list } = await tiles.entries(n);
    let bytes = 0;
    for (let i = 0; i < list.length; i++) {
      const e = readTiled(name, list[i], n * ENTRIES_PER_BUNDLE + BigInt(i), before);
      before = e, bytes += list[i].length;
      if (e.place.index < first || e.place.index >= end) continue;
      try {
        await take(e);
      } catch (err) {
        throw entryFault(e, err);
      }
    }
    await pass.tick(bytes);
  }
}

/** Derives a whole log anew. */
async function auditLog(pass, tiles) {
  const audit = new AuditState(pass.answer.origin, await readCuts(pass, tiles)), judge = new Judge();
  let ns = -(1n << 63n);
  await eachEntry(pass, tiles, (e) => {
    if (e.head.log_time_ns < ns) throw new Fault("its log time is before that of an earlier entry");
    ns = e.head.log_time_ns;
    audit.take(e, hashLeaf(e.bytes), judge);
  });
  audit.end();
  const note = await pass.archive.read(CHECKPOINT_COPY, 1 << 20);
  pass.keys = judge.reign;
  try {
    judge.reign.openCheckpoint(note);
  } catch (err) {
    throw memberFault(CHECKPOINT_COPY, "by the keys that the log's own entries name: ", err);
  }
  for (const b of judge.reign.bridges()) {
    if (equal(await tiles.rootAt(b.size), b.root)) continue;
    throw new Fault("entry " + b.index + ": FORK: two keys of the log signed another root at size " + b.size + " than the log has: it showed two histories", { member: "log/", index: b.index });
  }
  await checkSigned(pass.archive, judge.reign);
}

function readTiled(name, bytes, index, before) {
  try {
    const e = parseEntry(bytes, before);
    e.member = name;
    e.message = parseBody(e.place.kind, e.body);
    if (e.place.index !== index) throw new Fault("it says that its index is " + e.place.index);
    return e;
  } catch (err) {
    const out = memberFault(name, "entry " + index + ": ", err);
    if (out instanceof Fault) out.index = index;
    throw out;
  }
}

/** Takes the next entry. */
async function takeTiled(pass, e) {
  const leaf = pass.next(e), kind = e.place.kind, whole = pass.question.Log, inRuns = pass.window.placeOfRuns(e.place.index);
  const grounds = whole ? pass.judged(e, kind === KIND.access ? e.message : null) : NO_GROUNDS;
  if (kind === KIND.access) return pass.takeAccess(e, leaf, grounds, true, true, inRuns);
  if (whole) {
    pass.judge.take(e.place.index, e.head.log_time_ns, kind, e.body);
    if (kind === KIND["domain-map"]) pass.summary.Maps.push(pass.judge.version);
  }
  await pass.runs.follow(e, e.message, inRuns, true);
  if (kind === KIND.gap) pass.gaps++;
  if (kind === KIND.close) pass.takeClose(e, leaf, true);
  if (kind === KIND.alert) pass.takeAlert(e);
}

/** One entry of the log, with its body. */
async function readEntry(tiles, index) {
  const { name, list } = await tiles.entries(index / ENTRIES_PER_BUNDLE);
  return readTiled(name, list[Number(index % ENTRIES_PER_BUNDLE)], index, null);
}

/** The cuts of the closes of a log, by their links from the newest one: nothing is believed of them but where they are looked for. */
async function readCuts(pass, tiles) {
  const cuts = [];
  for (let at = pass.answer.close; at !== null;) {
    const e = await readEntry(tiles, at), previous = e.place.previous_in_stream;
    if (e.place.kind !== KIND.close || previous > at) throw entryFault(e, new Fault("the links of the closes lead nowhere"));
    cuts.push({ size: e.message.cut, endNS: e.message.period_end_ns });
    at = previous === 0n ? null : previous - 1n;
  }
  return cuts.reverse();
}

/** Reads entry 0 and the newest close of a whole log. */
async function beginLog(pass, tiles) {
  const { head, answer: a } = pass, first = await readEntry(tiles, 0n);
  if (first.place.kind !== KIND["origin-opened"]) throw entryFault(first, new Fault("origin opened is entry 0, and only that"));
  head.Opened = first.message, head.OpenedNS = first.head.log_time_ns;
  if (a.close === null) return;
  const e = await readEntry(tiles, a.close);
  try {
    const c = checkCloseEntry(e);
    if (c.cut !== a.cut) throw new Fault("the cut of the close at " + a.close + " is " + c.cut);
    head.Close = c, head.CloseIndex = a.close, head.Cut = c.cut;
  } catch (err) {
    throw memberFault(ANSWER_NAME, "", err);
  }
}

function finishTiles(pass) {
  const { answer: a, question: q } = pass;
  if (q.Log && (pass.closing?.index ?? null) !== a.close) {
    throw new Fault(ANSWER_NAME + ": its close is not the newest below size " + a.size, { member: ANSWER_NAME });
  }
  if (q.Log) pass.writeMaps(pass.summary.Maps);
  finishTileClaims(pass, pass.runs.finish());
  pass.out.finish(pass.summary);
}
