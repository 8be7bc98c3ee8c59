// Checks cases of bundles and prints what the page says of each, one JSON object a
// line: node cases.mjs DIR, where DIR/cases.jsonl has the cases.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkBundle } from "../src/check.js";
import { unhex } from "../src/bytes.js";

const dir = process.argv[2];
const files = new Map();
const read = (name) => {
  if (!files.has(name)) files.set(name, new Uint8Array(readFileSync(join(dir, name))));
  return files.get(name);
};

/** The base with each [offset, deleted, "hex to insert"] applied; offsets are those of the base. */
function patched(base, patch) {
  const pieces = [];
  let at = 0;
  for (const [offset, deleted, insert] of patch ?? []) {
    pieces.push(base.subarray(at, offset), unhex(insert));
    at = offset + deleted;
  }
  return new Blob([...pieces, base.subarray(at)]);
}

for (const line of readFileSync(join(dir, "cases.jsonl"), "utf8").split("\n")) {
  if (line === "") continue;
  const c = JSON.parse(line);
  const parts = c.files ? c.files.map((f) => new Blob([read(f)])) : [patched(read(c.base), c.patch)];
  const r = await checkBundle(parts, { policy: c.policy ? read(c.policy) : null, checkpoint: c.checkpoint ? read(c.checkpoint) : null });
  const { Verdict, Code, Claims, Reason, Member, FirstBadIndex } = r;
  console.log(JSON.stringify({ Name: c.name, Verdict, Code, Claims, Reason, Member, FirstBad: FirstBadIndex === null ? null : Number(FirstBadIndex) }));
}
