// What a question selects of the table of streams.

import { compare, compareText, hex, text, utf8 } from "./bytes.js";
import { canonicalDomain, parseStreamKey, producerDomain, streamKey } from "./entry.js";
import { cut } from "./note.js";
import { word, KIND } from "./words.js";

/** Kinds whose streams are whole in every bundle but that of a range or a whole log. */
export const GOVERNED = Object.freeze(["origin-opened", "domain-map", "approval", "revocation", "key-rotation", "succession", "part"].map((w) => KIND[w]));

const joining = ["?unmapped", "?overflow"]; // nobody can say that they are not meant

/** Whether a kind is about a run: declined to run ended. */
export function isRunKind(kind) {
  return kind >= KIND.declined && kind <= KIND["run-ended"];
}

/** The domain under which the log has the entries about the runs of a producer. */
export function domainOfProducer(producer) {
  return canonicalDomain(utf8(producerDomain(producer) ?? cut(producer, "/")[0]));
}

/**
 * The ids that a selector stands for under every version of the map, ascending;
 * null: any.
 */
export function expandSelector(s, versions) {
  if (s.Domain === "" && s.Tier === "" && s.Function === "" && s.Owner === "") return null;
  const ids = new Set(joining);
  if (s.Domain !== "") ids.add(canonicalDomain(utf8(s.Domain)));
  for (const v of versions) {
    for (const d of v.Document.domains) {
      const named = s.Domain === "" || v.map.resolve(s.Domain) === d.id;
      const holds = (want, got) => want === "" || want === got;
      if (!named || !holds(s.Tier, word("Tier", d.tier)) || !holds(s.Function, d.function) || !holds(s.Owner, d.owner)) continue;
      ids.add(d.id);
      for (const name of [d.id, ...d.aliases, ...d.dns]) ids.add(canonicalDomain(utf8(name)));
    }
  }
  return [...ids].sort(compareText);
}

/** What is selected. Rows that the question asks for are noted before it is used. */
export class Scope {
  constructor(question, versions, domains) {
    this.exact = question.Streams.length > 0 ? new Set(question.streamKeys.map(hex)) : null;
    this.sources = this.exact === null ? expandSelector(question.From, versions) : [];
    this.targets = this.exact === null ? expandSelector(question.To, versions) : [];
    this.domains = domains;
    this.streamKeys = question.streamKeys;
    this.pairs = new Map(); // keys of the alerts of selected pairs, by hex
    this.#pair(new Uint8Array(0), new Uint8Array(0));
  }

  #pair(source, target) {
    const key = streamKey(KIND.alert, text(source), text(target), 0, false);
    this.pairs.set(hex(key), key);
  }

  /** Whether the question asks for a stream. */
  asked(key, parsed) {
    if (this.exact !== null) return this.exact.has(hex(key));
    const has = (ids, id) => ids === null || ids.includes(text(id));
    return parsed.kind === KIND.access && has(this.sources, parsed.source) && has(this.targets, parsed.target);
  }

  /** Whether the entries of a stream are in the bundle. */
  selects(key) {
    const p = parseKey(key);
    if (p === null) return false;
    if (GOVERNED.includes(p.kind) || p.kind === KIND.close || this.asked(key, p)) return true;
    if (p.kind === KIND.alert) return this.pairs.has(hex(key));
    return isRunKind(p.kind) && this.domains.includes(text(p.source)) && p.target.length === 0;
  }

  /** Takes a row: the alerts of a pair whose accesses are asked for are selected too. */
  note(key) {
    const p = parseKey(key);
    if (p !== null && p.kind === KIND.access && this.asked(key, p)) this.#pair(p.source, p.target);
  }

  #askedPrefixes() {
    if (this.exact !== null) return this.streamKeys;
    if (this.sources === null) return [Uint8Array.of(KIND.access)];
    return this.sources.map((id) => Uint8Array.of(KIND.access, utf8(id).length, ...utf8(id)));
  }

  /** The intervals of keys of which all rows are known, ascending, none inside another. */
  prefixes() {
    const all = [...this.#askedPrefixes(), ...GOVERNED.map((k) => Uint8Array.of(k)), Uint8Array.of(KIND.close), ...this.pairs.values()];
    for (const d of this.domains) {
      for (let kind = KIND.declined; kind <= KIND["run-ended"]; kind++) all.push(streamKey(kind, d, "", 0, false));
    }
    all.sort(compare);
    const kept = [];
    for (const p of all) if (kept.length === 0 || !hasPrefix(p, kept[kept.length - 1])) kept.push(p);
    return kept;
  }
}

/** A parsed stream key; null where it is none, or its ids are not UTF-8. */
function parseKey(key) {
  try {
    const p = parseStreamKey(key);
    text(p.source), text(p.target);
    return p;
  } catch {
    return null;
  }
}

export function hasPrefix(b, prefix) {
  return b.length >= prefix.length && compare(b.subarray(0, prefix.length), prefix) === 0;
}
