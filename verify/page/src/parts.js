// The parts of a split bundle, joined.

import { equal } from "./bytes.js";
import { Fault, Unusable } from "./errors.js";

/** part 2 is; parts 1, 3 are; with more before the verb. */
function partsText(list, more = "") {
  return list.length === 1 ? `part ${list[0]}${more} is` : `parts ${list.join(", ")}${more} are`;
}

function sameAnswer(p, first) {
  const a = p.answer, of = first.answer;
  return a.parts === of.parts && a.origin === of.origin && a.size === of.size && a.close === of.close && a.cut === of.cut &&
    equal(p.head.Checkpoint.Root, first.head.Checkpoint.Root) && equal(p.archive.sum("question.json"), first.archive.sum("question.json"));
}

/**
 * Puts parts into their order: all of one answer, without a hole between them. Throws
 * Unusable where sound parts are missing or there twice.
 */
export function joinParts(passes) {
  if (passes.length === 1) return passes; // one part is checked by itself
  if (!passes.every((p) => sameAnswer(p, passes[0]))) throw new Fault("these are parts of different answers");
  const of = passes[0].answer.parts, all = Array.from({ length: of }, (_, i) => i + 1);
  const count = (n) => passes.filter((p) => p.answer.part === n).length;
  const missing = all.filter((n) => count(n) === 0), twice = all.filter((n) => count(n) > 1);
  if (missing.length > 0) {
    const have = all.filter((n) => count(n) > 0);
    throw new Unusable(`${partsText(have, ` of ${of}`)} here, ${partsText(missing)} missing: give all parts together, or one of them alone`);
  }
  if (twice.length > 0) throw new Unusable(partsText(twice) + " there twice: give each part once");
  const out = passes.toSorted((a, b) => a.answer.part - b.answer.part);
  out.forEach((p, i) => {
    if (i > 0 && out[i - 1].answer.end !== p.answer.first) {
      throw new Fault("part " + i + " ends at entry " + out[i - 1].answer.end + ", part " + (i + 1) + " begins at entry " + p.answer.first);
    }
  });
  return out;
}
