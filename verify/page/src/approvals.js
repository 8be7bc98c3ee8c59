// Approvals and revocations, and what an approval is worth to an access.

import { parseBody } from "./entry.js";
import { Fault } from "./errors.js";
import { KIND, VERDICT } from "./words.js";

const SUBJECT_ACTOR = 1, SUBJECT_FLOW = 2;

/** Verdicts of a flow that needs an approval, by the best standing; lower is better. */
const standingVerdicts = ["authorized", "self-approved", "revoked", "approved-after", "not-approved"].map((w) => VERDICT[w]);
const STANDS_NOT = 4;

/** All approvals of a log, in its order. */
export class Approvals {
  all = []; // {Index, LogTimeNS, Body, Revocation, RevokedNS, Revoked}
  #at = new Map(); // by index
  #pairs = new Map(); // by from/to: {actors, flows}, each a Map of name to approvals

  add(index, logTimeNS, body) {
    const m = parseBody(KIND.approval, body);
    const a = { Index: index, LogTimeNS: logTimeNS, Body: m, Revocation: 0n, RevokedNS: 0n, Revoked: null };
    this.all.push(a);
    this.#at.set(index, a);
    const key = m.from + "/" + m.to;
    let of = this.#pairs.get(key);
    if (of === undefined) this.#pairs.set(key, (of = { actors: new Map(), flows: new Map() }));
    const byName = m.subject === SUBJECT_ACTOR ? of.actors : m.subject === SUBJECT_FLOW ? of.flows : null;
    if (byName === null) return a;
    if (!byName.has(m.name)) byName.set(m.name, []);
    byName.get(m.name).push(a);
    return a;
  }

  /** The approval at an index; undefined: none. */
  at(index) {
    return this.#at.get(index);
  }

  revoke(index, logTimeNS, body) {
    const m = parseBody(KIND.revocation, body), a = this.#at.get(m.approval - 1n);
    if (a === undefined) throw new Fault("revocation of an entry that is no approval before it");
    if (a.Revocation !== 0n) throw new Fault("approval " + a.Index + " is revoked twice");
    if (m.from !== a.Body.from || m.to !== a.Body.to) throw new Fault("revocation of approval " + a.Index + " is about another pair");
    a.Revocation = index + 1n, a.RevokedNS = logTimeNS, a.Revoked = m;
    return a;
  }

  /** The lists of approvals of a flow, and of an actor on it under each of the actor's names. */
  #lists(map, flow, actor) {
    const of = this.#pairs.get(flow.from + "/" + flow.to);
    if (of === undefined) return [];
    const names = [actor], person = map.people.get(actor);
    if (person !== undefined) {
      for (const name of [person.id, ...person.identities]) if (name !== actor) names.push(name);
    }
    return [of.flows.get(flow.id), ...names.map((n) => of.actors.get(n))].filter((l) => l !== undefined);
  }

  /**
   * The best approval of an access on a flow by an entry before it.
   * @returns {{verdict: number, approval: object|null}}
   */
  best(map, flow, index, event) {
    let approval = null, standing = STANDS_NOT;
    for (const list of this.#lists(map, flow, event.actor?.id ?? "")) {
      for (const a of list) {
        if (a.Index >= index) break;
        const s = standingOf(a, map, index, event);
        if (s < standing) approval = a, standing = s;
      }
    }
    return { verdict: standingVerdicts[standing], approval };
  }

  /** The first approval that came with or after an access and would have covered it; null: none. */
  later(map, flow, index, event) {
    let first = null;
    if (!flow.needs_approval) return null;
    for (const list of this.#lists(map, flow, event.actor?.id ?? "")) {
      for (const a of list) {
        if (a.Index >= index && (first === null || a.Index < first.Index) && covers(a, event)) first = a;
      }
    }
    return first;
  }
}

/** Whether an approval is valid at a time. */
export function within(a, ns) {
  return ns >= a.Body.not_before_ns && (a.Body.not_after_ns === 0n || ns < a.Body.not_after_ns);
}

/** Whether an approval is for such an access, whenever it came. */
function covers(a, event) {
  const purpose = event.authorization?.purpose ?? "", grant = event.authorization?.grant_id ?? "";
  return within(a, event.occurred_at_ns) &&
    (a.Body.purpose === "" || purpose === "" || a.Body.purpose === purpose) && (grant === "" || a.Body.id === grant);
}

function standingOf(a, map, index, event) {
  const at = event.occurred_at_ns;
  if (!covers(a, event)) return STANDS_NOT;
  if (map.same(a.Body.approver, event.actor?.id ?? "")) return 1;
  if (a.Revocation !== 0n && a.Revocation <= index && a.RevokedNS <= at) return 2;
  return a.LogTimeNS > at ? 3 : 0;
}
