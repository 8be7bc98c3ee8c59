// Judgement: which map is in force, and what follows for an access.

import { concat, equal } from "./bytes.js";
import { Approvals, within } from "./approvals.js";
import { isLate, parseBody } from "./entry.js";
import { Fault, Newer } from "./errors.js";
import { Reign } from "./keychain.js";
import { allows, parseMap, reserved } from "./map.js";
import { changedApprovers } from "./changes.js";
import { sha256 } from "./sha256.js";
import { KIND, VERDICT, word } from "./words.js";

const RULES_VERSION = 2, MAX_PROPOSALS = 64, MAX_PROPOSED = 64 << 20, MAX_PART = 57344, MAX_MAP_DOCUMENT_BYTES = 16 << 20;
const SUBJECT_MAP_CHANGE = 3;
const DENIED = 2; // of Decision, and of OutcomeResult
const PRODUCTION = 1; // of Tier: staging, test and development follow

/** What the flows of one pair say, the best first. */
const flowOrder = ["authorized", "late-unverified", "unproven-source", "self-approved", "revoked", "approved-after", "not-approved", "expired"]
  .map((w) => VERDICT[w]);

/** What a verdict rests on where there is no flow. */
export const NO_GROUNDS = Object.freeze({ Flow: null, Approval: null });

/** Whether the log's keys or its end follow from entries of that kind. */
function ofReign(kind) {
  return kind === KIND["origin-opened"] || kind === KIND["key-rotation"] || kind === KIND.succession;
}

/** Whether judgement follows from entries of that kind. */
export function judgeTakes(kind) {
  return kind === KIND.part || kind === KIND["domain-map"] || kind === KIND.approval || kind === KIND.revocation || ofReign(kind);
}

/** A function of the entries: take() each, in order, after check(). */
export class Judge {
  approvals = new Approvals();
  version = null; // {Index, LogTimeNS, Body, Document, map}
  versions = []; // all that came into force
  #proposals = []; // since the map in force
  #parts = null; // the document that is being read
  #ready = null; // the domain map entry that must be next
  reign = new Reign();
  #rules = 0; // of the entries that were checked

  /** Takes the next entry; throws where the ledger could not have written it there. */
  take(index, logTimeNS, kind, body) {
    if (!judgeTakes(kind)) return;
    if ((this.#ready !== null) !== (kind === KIND["domain-map"])) {
      throw new Fault("a domain map comes into force with its last approval, and only then");
    }
    if (this.#parts !== null && (kind !== KIND.part || index !== this.#parts.next)) throw new Fault("a part of a document is missing");
    if (ofReign(kind)) return this.reign.take(index, logTimeNS, kind, body, this);
    switch (kind) {
      case KIND.part: this.#takePart(index, logTimeNS, body); break;
      case KIND["domain-map"]: this.#takeMap(index, logTimeNS, body); break;
      case KIND.approval: this.#approveMap(this.approvals.add(index, logTimeNS, body)); break;
      default: this.#revokeMap(this.approvals.revoke(index, logTimeNS, body));
    }
  }

  #takePart(index, logTimeNS, body) {
    const m = parseBody(KIND.part, body);
    this.#parts ??= { sha256: m.sha256, first: index, next: index, count: 0, of: m.parts, data: [], size: 0 };
    const p = this.#parts;
    if (!equal(p.sha256, m.sha256) || m.parts !== p.of || m.part !== p.count + 1) {
      throw new Fault("part " + m.part + " of " + m.parts + " after part " + p.count + " of " + p.of);
    }
    if (p.size + m.data.length > MAX_MAP_DOCUMENT_BYTES || (m.data.length !== MAX_PART && m.part !== m.parts)) {
      throw new Fault("part " + m.part + " of " + m.parts + " has " + m.data.length + " bytes");
    }
    p.data.push(m.data), p.size += m.data.length, p.count++, p.next = index + 1n;
    if (p.count < p.of) return;
    this.#parts = null;
    const document = concat(...p.data);
    if (!equal(sha256(document), p.sha256)) throw new Fault("the parts are not the document that their digest names");
    this.#propose(document, p, logTimeNS);
  }

  #propose(document, parts, logTimeNS) {
    const map = parseMap(document), old = this.version?.map ?? null;
    const p = { map, old, sha256: parts.sha256, first: parts.first, parts: parts.of, size: document.length, logTimeNS, approved: new Map() };
    p.needed = changedApprovers(old?.document ?? null, map.document);
    if (p.needed.length === 0) throw new Fault("the domain map in force says the same");
    if (p.needed.some((person) => samePerson(p, map.document.author, person))) throw new Fault("the author of a map would have to approve it");
    if (this.#proposal(p.sha256) !== undefined) throw new Fault("a map is proposed twice");
    const own = this.#proposals.filter((o) => o.map.document.author === map.document.author);
    const size = (list) => list.reduce((n, o) => n + o.size, p.size);
    if (this.#proposals.length >= MAX_PROPOSALS || size(this.#proposals) > MAX_PROPOSED || own.length >= MAX_PROPOSALS / 4 || size(own) > MAX_PROPOSED / 2) {
      throw new Fault("too many proposals are open");
    }
    this.#proposals.push(p);
  }

  #proposal(digest) {
    return this.#proposals.find((p) => equal(p.sha256, digest));
  }

  #approveMap(a) {
    if (a.Body.subject !== SUBJECT_MAP_CHANGE || a.Body.sha256.length !== 32) return;
    const p = this.#proposal(a.Body.sha256);
    if (p === undefined) return;
    const person = personOf(p, a.Body.approver);
    if (person === "" || !p.needed.includes(person) || p.approved.has(person)) return;
    if (samePerson(p, p.map.document.author, a.Body.approver) || !within(a, a.LogTimeNS)) return;
    p.approved.set(person, a.Index + 1n);
    if (p.approved.size === p.needed.length) this.#ready = p;
  }

  /** Takes a revoked approval from the proposals that it counted towards. */
  #revokeMap(a) {
    for (const p of this.#proposals) {
      for (const [person, at] of p.approved) if (at === a.Index + 1n) p.approved.delete(person);
    }
  }

  #takeMap(index, logTimeNS, body) {
    const m = parseBody(KIND["domain-map"], body), p = this.#ready;
    const approvals = [...p.approved.values()].sort((x, y) => (x < y ? -1 : 1));
    const same = equal(m.sha256, p.sha256) && m.first_part === p.first + 1n && m.parts === p.parts && m.author === p.map.document.author &&
      m.previous === (this.version === null ? 0n : this.version.Index + 1n) &&
      m.approvals.length === approvals.length && approvals.every((at, i) => at === m.approvals[i]);
    if (!same) throw new Fault("domain map differs from the proposal and its approvals");
    this.version = { Index: index, LogTimeNS: logTimeNS, Body: m, Document: p.map.document, map: p.map };
    this.versions.push(this.version);
    this.#proposals = [], this.#ready = null;
  }

  /**
   * Compares what the ledger said of the next entry with what follows from those
   * before; of an access, event, also lateness, ids of domains, and the verdict.
   * @returns {{Flow, Approval}} what the verdict rests on
   */
  check(e, event) {
    const { head, place } = e, v = this.version;
    if (head.rules_version > RULES_VERSION) throw new Newer("rules version " + head.rules_version);
    if (head.rules_version < this.#rules) throw new Fault("rules version " + head.rules_version + " after " + this.#rules);
    if (head.map_index !== (v?.Index ?? 0n)) throw new Fault("map index " + head.map_index + ", not " + (v?.Index ?? 0n));
    this.#rules = head.rules_version;
    if (place.kind !== KIND.access) return NO_GROUNDS;
    if (place.side !== event.side || place.late !== isLate(head.provenance, event.occurred_at_ns, head.log_time_ns)) {
      throw new Fault("side or late differs from the event");
    }
    if (v !== null && (place.source !== v.map.resolve(event.source.domain) || place.target !== v.map.resolve(event.target.domain))) {
      throw new Fault("stream " + place.source + " -> " + place.target + ", not " + v.map.resolve(event.source.domain) + " -> " + v.map.resolve(event.target.domain));
    }
    const { verdict, grounds } = this.evaluate(head.rules_version, place, event);
    if (verdict !== place.verdict) throw new Fault("verdict " + verdictName(place.verdict) + ", not " + verdictName(verdict));
    return grounds;
  }

  /** The verdict of an access under rules and the map in force: the first that holds. */
  evaluate(rules, place, event) {
    const v = this.version, of = (word) => ({ verdict: VERDICT[word], grounds: NO_GROUNDS });
    if (place.source === place.target && (v === null || rules === 1 || !reserved(place.source))) return of("internal");
    if (event.decision === DENIED || event.outcome?.result === DENIED) return of("denied");
    if (v === null || rules === 1) return of("undeclared");
    const source = v.map.domain(place.source), target = v.map.domain(place.target);
    if (source === null || target === null) return of("unmapped");
    if (target.tier === PRODUCTION && source.tier > PRODUCTION && source.tier <= 4) return of("forbidden");
    let best = of("undeclared"), rank = flowOrder.length;
    for (const ready of v.map.flowsOf(place.source, place.target)) {
      if (!allows(ready, event) || event.occurred_at_ns < ready.flow.not_before_ns) continue;
      const got = this.#evaluateFlow(ready.flow, place, event), at = flowOrder.indexOf(got.verdict);
      if (at < rank) best = { verdict: got.verdict, grounds: { Flow: ready.flow, Approval: got.approval } }, rank = at;
      if (at === 0) break;
    }
    return best;
  }

  #evaluateFlow(f, place, event) {
    const of = (word) => ({ verdict: VERDICT[word], approval: null });
    if (f.not_after_ns !== 0n && event.occurred_at_ns >= f.not_after_ns) return of("expired");
    if (place.late && this.version.LogTimeNS > event.occurred_at_ns) return of("late-unverified");
    const proof = event.source?.proof ?? 0;
    if (f.least_proof !== 0 && (proof === 0 || proof > f.least_proof)) return of("unproven-source");
    if (!f.needs_approval) return of("authorized");
    return this.approvals.best(this.version.map, f, place.index, event);
  }
}

/** A verdict by its name in the schema. */
function verdictName(v) {
  return "VERDICT_" + (v === 0 ? "UNSPECIFIED" : word("Verdict", v).replaceAll("-", "_").toUpperCase());
}

/** The person who has an identity; whom the map in force knows has the identities it says, and no others. "": nobody. */
function personOf(p, identity) {
  const known = p.old?.people.get(identity);
  if (known !== undefined) return known.id;
  const person = p.map.people.get(identity);
  return person === undefined || p.old?.people.has(person.id) ? "" : person.id;
}

/** Whether two names are one person's, by the map in force or by the proposal. */
function samePerson(p, a, b) {
  return p.map.person(a) === p.map.person(b) || (p.old !== null && p.old.person(a) === p.old.person(b));
}

