// Who must approve that one domain map takes the place of another.

import { compareText, equal } from "./bytes.js";

/** Whether two messages, decoded from strict bytes, are the same. */
export function sameMessage(a, b) {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && equal(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => sameMessage(v, b[i]));
  if (a === null || typeof a !== "object") return a === b;
  return b !== null && typeof b === "object" && Object.keys(a).every((k) => sameMessage(a[k], b[k]));
}

/** The pairs [before, after] of two lists that differ, by id; either may be null. */
function changedPairs(before, after) {
  const byId = (list) => new Map(list.map((v) => [v.id, v]));
  const olds = byId(before), news = byId(after);
  return [...new Set([...olds.keys(), ...news.keys()])]
    .map((id) => [olds.get(id) ?? null, news.get(id) ?? null])
    .filter(([a, b]) => a === null || b === null || !sameMessage(a, b));
}

/**
 * The ids of the people who must approve, ascending; none only where nothing
 * changed: of each flow that differs its approver before and after, where anything
 * else does the map's.
 * @param {object|null} before the MapDocument in force
 */
export function changedApprovers(before, after) {
  const needed = new Set(), old = before ?? { domains: [], flows: [], people: [] };
  const flows = changedPairs(old.flows, after.flows);
  for (const [a, b] of flows) for (const f of [a, b]) if (f !== null) needed.add(f.approver);
  const others = before === null || before.firm !== after.firm || before.approver !== after.approver || before.unused_days !== after.unused_days ||
    changedPairs(old.domains, after.domains).length > 0 || changedPairs(old.people, after.people).length > 0 ||
    (flows.length === 0 && !equal(before.yaml, after.yaml));
  if (others) for (const m of [before, after]) if (m !== null) needed.add(m.approver);
  needed.delete("");
  return [...needed].sort(compareText);
}
