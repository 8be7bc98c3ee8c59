// The conformance kits of verify and verify/domains, against the page's modules.
import { hex, unhex, concat, utf8, u64be } from "../src/bytes.js";
import { unbase64 } from "../src/base64.js";
import { Newer } from "../src/errors.js";
import { canonicalDomain, parseBody, parseEntry } from "../src/entry.js";
import { parsePolicy } from "../src/policy.js";
import { checkCloseChain, checkCloseEntry, cutRow, parseRunRowKey, TableBuilder } from "../src/close.js";
import { checkConsistency, checkInclusion, checkRange } from "../src/tree.js";
import { compositeHash, hashLeaf, sha256 } from "../src/sha256.js";
import { decode } from "../src/proto.js";
import { ok, readJson } from "./lib.mjs";

const hashes = (s) => (s === "" || s === undefined ? [] : s.split(" ").map(unhex));
const bytes = (s) => unbase64(s);
const event = (b) => decode("Event", b);

const kits = {
  entry({ entry }) {
    const b = bytes(entry), e = parseEntry(b);
    const body = parseBody(e.place.kind, e.body);
    return { leaf_hash: hex(hashLeaf(b)), body };
  },
  event({ event: text }) {
    const ev = event(bytes(text));
    return {
      event_id: hex(ev.event_id), sealed: String(ev.sealed.length),
      source_id: canonicalDomain(utf8(ev.source.domain)), target_id: canonicalDomain(utf8(ev.target.domain)),
    };
  },
  hash(c) {
    if (c.of === "leaf") return { hash: hex(hashLeaf(bytes(c.entry))) };
    if (c.of === "composite") return { hash: hex(compositeHash(c.label, ...hashes(c.parts))) };
    return {};
  },
  checkpoint({ policy, note }) {
    const o = parsePolicy(utf8(policy)).open(utf8(note));
    return { origin: o.Origin, root: hex(o.Root), size: String(o.Size), witnesses: String(o.Witnesses.length) };
  },
  policy({ policy }) {
    parsePolicy(utf8(policy));
    return {};
  },
  range({ lo, size, leaves, proof, root }) {
    checkRange(BigInt(lo), BigInt(size), hashes(leaves), hashes(proof), unhex(root));
    return {};
  },
  consistency({ first, second, first_root, second_root, proof }) {
    checkConsistency(BigInt(first), BigInt(second), unhex(first_root), unhex(second_root), hashes(proof));
    return {};
  },
  close({ entry, previous }) {
    const e = parseEntry(bytes(entry)), c = checkCloseEntry(e);
    if (previous) {
      const p = parseEntry(bytes(previous));
      checkCloseChain(checkCloseEntry(p), p.place.index, c);
    }
    return { cut: String(c.cut), period_end_ns: String(c.period_end_ns), period_start_ns: String(c.period_start_ns) };
  },
  table({ rows, of }) {
    const b = new TableBuilder();
    for (const row of hashes(rows)) {
      const r = cutRow(row, 0);
      if (r.end !== row.length) throw new Error("bytes after a row");
      if (of === "runs") parseRunRowKey(r.key);
      b.add(r.key, r.count, r.root);
    }
    return { root: hex(b.tree.root()), sum: String(b.sum), table_rows: String(b.tree.size) };
  },
  row(c) {
    if (c.row === undefined) return null;
    const b = unhex(c.row), r = cutRow(b, 0);
    if (r.end !== b.length) throw new Error("bytes after a row");
    checkInclusion(BigInt(c.row_index), BigInt(c.table_rows), hashLeaf(b), hashes(c.row_proof), unhex(c.root));
    return { count: String(r.count) };
  },
};

for (const [kit, check] of Object.entries(kits)) {
  for (const c of readJson("verify", "testdata", "conformance", kit + ".json")) {
    const name = kit + ": " + c.name;
    let verdict = "ok", out = {}, error = null;
    try {
      out = check(c.input);
      if (out === null) continue;
    } catch (err) {
      error = err;
      verdict = err instanceof Newer ? "newer" : "refused";
      if (err.name !== "Fault" && err.name !== "Newer" && kit !== "table" && kit !== "row") verdict = String(err.stack);
    }
    ok(name, verdict === c.verdict, `verdict ${verdict}, want ${c.verdict} (${error?.message})`);
    if (c.field && error) ok(name, error.message.includes("field " + c.field + ":"), `"${error.message}" does not name ${c.field}`);
    for (const [key, want] of Object.entries(c.output ?? {})) {
      if (out[key] !== undefined) ok(name, out[key] === want, `${key} is ${out[key]}, want ${want}`);
    }
  }
}
void [concat, u64be, sha256];
