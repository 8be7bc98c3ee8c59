// What a report remembers of the entries that passed: counts, and the first
// sentences of each list.

import { compareText } from "./bytes.js";
import { word } from "./words.js";
import { countScope, groupedNumber, showText } from "./reporttext.js";
import { sectionWord } from "./reportrows.js";

/** Most entries of a list in the report. */
export const MAX_LISTED = 1000;

/** Marks the first and the last scope of a list, and returns it. */
export function markEnds(scopes) {
  scopes.forEach((scope, i) => {
    scope.first_of = i === 0;
    scope.last_of = i === scopes.length - 1;
  });
  return scopes;
}

/** A list of sentences: the first MAX_LISTED, and how many there are. */
export class SentenceList {
  constructor() {
    this.total = 0;
    this.entries = [];
  }

  add(row, sentence, alarm) {
    this.total++;
    if (this.entries.length < MAX_LISTED) {
      this.entries.push({ sentence, alarm, index: row.lookup("index"), complete: row.lookup("complete") });
    }
  }

  left() {
    return countScope(this.total - this.entries.length);
  }
}

/** Counts of accesses by verdict, pair and flow, and their lists. */
export class ReportTally {
  /** @param {object} words of reportWords */
  constructor(words) {
    this.words = words;
    this.total = 0;
    this.unauthorized = 0;
    this.denied = 0;
    this.numbered = 0; // runs that are proved
    this.verdicts = new Map();
    this.pairs = new Map(); // by source, line feed, target
    this.flows = new Map(); // by index of the map, space, id
    this.lists = new Map(words.lists.map((l) => [l.id, new SentenceList()]));
    this.alerts = new SentenceList();
    this.closes = new SentenceList();
    this.approvals = new SentenceList();
    this.runs = new SentenceList();
  }

  /** Counts an access and puts it into its lists. */
  access(answer, row, sentence) {
    const { place, head } = answer.Entry;
    const verdict = word("Verdict", place.verdict);
    const group = this.words.groups.get(verdict);
    const alarm = group !== "authorized" && group !== "denied", denied = group === "denied";
    this.total++;
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1);
    const pair = this.pair(place.source, place.target);
    pair.accesses++;
    if (denied) {
      this.denied++;
      pair.denied++;
    }
    if (alarm) {
      this.unauthorized++;
      pair.unauthorized++;
      this.lists.get("unauthorized").add(row, sentence, alarm);
    }
    const flow = answer.Grounds?.Flow;
    if (flow) {
      const key = `${head.map_index} ${flow.id}`;
      this.flows.set(key, (this.flows.get(key) ?? 0) + 1);
    }
    const section = sectionWord(answer.Section);
    if (section !== "first-hand" || !alarm) this.lists.get(section)?.add(row, sentence, alarm);
  }

  pair(source, target) {
    const key = `${source}\n${target}`;
    let pair = this.pairs.get(key);
    if (pair === undefined) {
      pair = { source, target, accesses: 0, unauthorized: 0, denied: 0 };
      this.pairs.set(key, pair);
    }
    return pair;
  }

  /** How many accesses rest on a flow under one version of the map. */
  flowCount(mapIndex, id) {
    return this.flows.get(`${mapIndex} ${id}`) ?? 0;
  }

  /** Puts the accesses into the values of the report. */
  describe(model) {
    const verdicts = this.words.verdicts.filter((v) => this.verdicts.has(v.name))
      .map((v) => ({ name: v.name, about: v.about, accesses: groupedNumber(this.verdicts.get(v.name)) }));
    const sorted = [...this.pairs.values()].sort((a, b) => compareText(a.source, b.source) || compareText(a.target, b.target));
    const pairs = sorted.slice(0, MAX_LISTED).map((p) => ({
      source: showText(p.source), target: showText(p.target),
      accesses: groupedNumber(p.accesses), unauthorized: groupedNumber(p.unauthorized), denied: groupedNumber(p.denied),
    }));
    const lists = this.words.lists.map(({ id, title, about }) => {
      const list = this.lists.get(id);
      return { id, title, about, total: countScope(list.total), left: list.left(), shown: countScope(list.entries.length), entries: markEnds(list.entries) };
    });
    model.total = countScope(this.total);
    model.unauthorized = countScope(this.unauthorized);
    model.denied = countScope(this.denied);
    model.verdicts = markEnds(verdicts);
    model.pairs = markEnds(pairs);
    model.pairs_left = countScope(sorted.length - pairs.length);
    model.lists = markEnds(lists);
  }
}
