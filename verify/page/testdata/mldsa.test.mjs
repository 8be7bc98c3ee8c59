// Tests src/keccak.js and src/mldsa.js against what filippo.io/mldsa said of the
// same signatures (mldsa44.json), against node's own SHAKE, and against a
// cosignature that a witness in the field made.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { shake128, shake256 } from "../src/keccak.js";
import { mldsa44Verify } from "../src/mldsa.js";

let failed = false;
function test(name, ok, why = "") {
  console.log(ok ? `ok ${name}` : `not ok ${name}: ${why}`);
  failed ||= !ok;
}

const file = (path) => readFileSync(new URL(path, import.meta.url));
const bytes = (encoded) => new Uint8Array(Buffer.from(encoded ?? "", "base64"));

for (const [name, make] of [["shake128", shake128], ["shake256", shake256]]) {
  for (const size of [0, 1, 135, 136, 137, 167, 168, 169, 1000]) {
    const message = new Uint8Array(size).map((_, i) => i * 7);
    const want = createHash(name, { outputLength: 400 }).update(message).digest("hex");
    const sponge = make().absorb(message);
    const got = Buffer.concat([sponge.squeeze(1), sponge.squeeze(399)]).toString("hex");
    test(`${name} of ${size} bytes`, got === want, got);
  }
}

function applyEdit(part, edit) {
  const size = edit.size || part.length;
  const out = new Uint8Array(size);
  out.set(part.subarray(0, size));
  for (const [at, value] of edit.set ?? []) out[at] = value;
  return out;
}

for (const c of JSON.parse(file("mldsa44.json"))) {
  const parts = { key: bytes(c.key), message: bytes(c.message), signature: bytes(c.signature) };
  const says = mldsa44Verify(parts.key, parts.message, parts.signature);
  test(c.name, says === c.ok, `says ${says}`);
  for (const edit of c.edits ?? []) {
    const p = { ...parts, [edit.part]: applyEdit(parts[edit.part], edit) };
    const got = mldsa44Verify(p.key, p.message, p.signature);
    test(`${c.name}: ${edit.name}`, got === edit.ok, `says ${got}`);
  }
}

/** The message of a 0x06 cosignature of a checkpoint (c2sp.org/tlog-cosignature). */
function subtreeMessage(name, stamp, origin, size, root) {
  const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(n); return b; };
  const short = (s) => Buffer.concat([Buffer.from([Buffer.byteLength(s)]), Buffer.from(s)]);
  return Buffer.concat([Buffer.from("subtree/v1\n\0"), short(name), stamp, short(origin), u64(0n), u64(size), root]);
}

const field = JSON.parse(file("../../testdata/vectors/cosigned.json"));
const vkey = field.witnesses.w2;
const key = bytes(vkey.slice(vkey.indexOf("+", vkey.indexOf("+") + 1) + 1)).subarray(1);
const [origin, size, root] = field.checkpoint.split("\n");
const line = field.checkpoint.split("\n").find((l) => l.includes(" witness.example/w2 "));
const blob = bytes(line.split(" ")[2]);
const message = subtreeMessage("witness.example/w2", blob.subarray(4, 12), origin, BigInt(size), bytes(root));
test("cosignature of a witness in the field", mldsa44Verify(key, message, blob.subarray(12)));
message[0] ^= 1;
test("the same of another message", !mldsa44Verify(key, message, blob.subarray(12)));
process.exitCode = failed ? 1 : 0;
