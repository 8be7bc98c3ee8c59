// The conformance kit of the verdicts, against the page's judge.
import { unbase64 } from "../src/base64.js";
import { parseBody, parseEntry } from "../src/entry.js";
import { Judge } from "../src/judge.js";
import { KIND } from "../src/words.js";
import { ok, readJson } from "./lib.mjs";

const judge = new Judge();
for (const c of readJson("verify", "domains", "testdata", "conformance", "verdict.json")) {
  let verdict = "ok", grounds = null, why = "";
  const e = parseEntry(unbase64(c.entry));
  try {
    const body = parseBody(e.place.kind, e.body);
    grounds = judge.check(e, e.place.kind === KIND.access ? body : null);
    judge.take(e.place.index, e.head.log_time_ns, e.place.kind, e.body);
  } catch (err) {
    verdict = "refused", why = err.stack;
  }
  ok(c.name, verdict === c.verdict, verdict + " " + why);
  if (c.flow) ok(c.name, grounds?.Flow?.id === c.flow, "flow " + grounds?.Flow?.id + ", want " + c.flow);
  if (c.rests !== undefined) ok(c.name, grounds?.Approval?.Index === BigInt(c.rests), "rests " + grounds?.Approval?.Index + ", want " + c.rests);
}
