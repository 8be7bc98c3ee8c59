// What a question says and nothing in the log has: an answer is no evidence of what
// may have been meant by it.

import { equal, utf8 } from "./bytes.js";
import { canonicalDomain, parseStreamKey } from "./entry.js";
import { selects } from "./question.js";
import { jsonText } from "./reporttext.js";
import { KIND } from "./words.js";

const SELECTOR_WORDS = ["Domain", "Tier", "Function", "Owner"];

/**
 * The words of the question's sides that no domain of a map has. A domain is known,
 * too, where a known row of accesses has its name.
 * @returns {{Side: string, Word: string, Name: string, Said: string, Text: string}[]}
 */
export function unknownWords(question, versions, rows) {
  const out = [];
  for (const [side, selector] of [["from", question.From], ["to", question.To]]) {
    const words = SELECTOR_WORDS.filter((w) => selector[w] !== "");
    if (words.length === 0 || anySelected(selector, versions)) continue;
    const strange = words.filter((w) => !isKnown(w, selector[w], versions, rows));
    for (const w of strange) {
      const word = w.toLowerCase();
      out.push({ Side: side, Word: word, Name: selector[w], Said: `${side} ${word} ${jsonText(selector[w])}`, Text: side + ": " + nobodys(word, selector[w], side, versions.length > 0) });
    }
    if (strange.length > 0 || words.length < 2) continue;
    const all = words.map((w) => w.toLowerCase() + " " + jsonText(selector[w])).join(", ");
    out.push({ Side: side, Word: "", Name: "", Said: `${side} one domain of ${all}`, Text: `${side}: no domain map in force up to the close has one domain of all of ${all}: zero accesses ${side} such a domain are no evidence` });
  }
  return out;
}

/** Whether a version of the map has a domain that a selector names. */
function anySelected(selector, versions) {
  return versions.some((v) => v.Document.domains.some((d) => selects(selector, d, selector.Domain !== "" && v.map.resolve(selector.Domain) === d.id)));
}

function isKnown(word, value, versions, rows) {
  if (anySelected({ Domain: "", Tier: "", Function: "", Owner: "", [word]: value }, versions)) return true;
  return word === "Domain" && inRows(utf8(canonicalDomain(utf8(value))), rows);
}

/** Whether a row of accesses is from or to a domain. */
function inRows(id, rows) {
  return rows.some((r) => {
    try {
      const p = parseStreamKey(r.key);
      return p.kind === KIND.access && (equal(p.source, id) || equal(p.target, id));
    } catch {
      return false; // no key of a stream
    }
  });
}

function nobodys(word, value, side, mapped) {
  const quoted = jsonText(value);
  if (word === "domain") {
    const end = "say nothing of a domain that is spelled otherwise";
    return mapped ? `no domain map in force up to the close knows a domain ${quoted}, and no stream of accesses in this file has that name: accesses ${side} it could stand under unmapped alone, and zero of them ${end}`
      : `no domain map was in force up to the close, and no stream of accesses in this file has the name ${quoted}: zero accesses ${side} it ${end}`;
  }
  const end = `zero accesses ${side} such a domain are no evidence`;
  return mapped ? `no domain map in force up to the close has a domain of ${word} ${quoted}: ${end}`
    : `no domain map was in force up to the close, so that the log knows no domain of ${word} ${quoted}: ${end}`;
}
