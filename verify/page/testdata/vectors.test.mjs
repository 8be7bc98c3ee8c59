// Hashes, signatures and trees against published vectors, and against node's own.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 as zlibCrc, gunzipSync } from "node:zlib";
import { base64, unbase64 } from "../src/base64.js";
import { compareText, concat, equal, hex, unhex, utf8 } from "../src/bytes.js";
import { crc32 } from "../src/crc32.js";
import { ed25519Verify } from "../src/ed25519.js";
import { p256Verify } from "../src/p256.js";
import { parsePolicy, policyOfKey } from "../src/policy.js";
import { EMPTY_ROOT, hashLeaf, Sha256, sha256 } from "../src/sha256.js";
import { sha512 } from "../src/sha512.js";
import { checkConsistency, checkInclusion, Frontier, gapCount, gapLevel } from "../src/tree.js";
import { ok, readJson, throws, top } from "./lib.mjs";

const vectors = (name) => {
  const b = readFileSync(join(top, "verify", "testdata", "vectors", name));
  return JSON.parse((name.endsWith(".gz") ? gunzipSync(b) : b).toString());
};

// FIPS 180-4, and lengths around each block's end.
ok("sha256 abc", hex(sha256(utf8("abc"))) === "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
ok("sha512 abc", hex(sha512(utf8("abc"))).startsWith("ddaf35a193617abacc417349ae204131") && hex(sha512(utf8("abc"))).endsWith("a54ca49f"));
const noise = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 131 + n * 7) & 0xff);
for (let n = 0; n < 300; n++) {
  const b = noise(n), want = createHash("sha256").update(b).digest("hex");
  ok(`sha256 of ${n}`, hex(sha256(b)) === want);
  const cut = (n * 5) % (n + 1);
  ok(`sha256 of ${n} in pieces`, hex(new Sha256().update(b.subarray(0, cut)).update(b.subarray(cut)).digest()) === want);
  ok(`sha512 of ${n}`, hex(sha512(b)) === createHash("sha512").update(b).digest("hex"));
  if (zlibCrc !== undefined) ok(`crc32 of ${n}`, crc32(b.subarray(cut), crc32(b.subarray(0, cut))) === zlibCrc(b));
  ok(`base64 of ${n}`, base64(b) === Buffer.from(b).toString("base64") && equal(unbase64(base64(b)), b));
}
for (const s of ["A", "AA", "AAA", "AA=", "A===", "AB==", "AAB=", "AA==AA==", "AA\n=", " AA=", "AA-_", "AA==\n"]) ok(`base64 ${JSON.stringify(s)}`, throws(() => unbase64(s)) !== null);

// RFC 8032, section 7.1.
for (const [key, msg, sig] of [
  ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"],
  ["3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"],
  ["fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"],
]) {
  ok("RFC 8032", ed25519Verify(unhex(key), unhex(msg), unhex(sig)));
  for (let i = 0; i < 64; i += 5) {
    const bad = unhex(sig);
    bad[i] ^= 1 << (i % 8);
    ok(`RFC 8032, byte ${i} changed`, !ed25519Verify(unhex(key), unhex(msg), bad));
  }
}

// The edge cases of CCTV: the same are taken as crypto/ed25519 takes.
const edges = vectors("ed25519.json.gz");
ok("edge cases", edges.length > 100, String(edges.length));
for (const v of edges) {
  const flags = v.flags ?? [], want = !flags.includes("non_canonical_R") && !flags.includes("low_order_residue");
  ok(`Ed25519 edge case ${v.number}`, ed25519Verify(unhex(v.key), utf8(v.msg), unhex(v.sig)) === want, flags.join(" "));
}

// ECDSA on P-256: RFC 6979's example, node's signatures, and other encodings of one.
const point = unhex("0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
const sampleR = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", sampleS = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
const sample = "3046022100" + sampleR + "022100" + sampleS, sum = sha256(utf8("sample"));
ok("RFC 6979", p256Verify(point, sum, unhex(sample)));
for (const [name, der] of Object.entries({
  "bytes after": sample + "00", "no leading zero": "3044" + "0220" + sampleR + "0220" + sampleS, "zero too many": "304702220000" + sampleR + "022100" + sampleS,
  "long length": "308146022100" + sampleR + "022100" + sampleS, "r is 0": "3026020100022100" + sampleS, "s is 0": "3026022100" + sampleR + "020100",
  "s over the order": "3046022100" + sampleR + "022100" + "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "empty": "", "no sequence": sample.slice(4),
})) ok("P-256: " + name, !p256Verify(point, sum, unhex(der)));
ok("P-256: another hash", !p256Verify(point, sha256(utf8("samplf")), unhex(sample)));
ok("P-256: no point", !p256Verify(concat(point.subarray(0, 64), Uint8Array.of(0)), sum, unhex(sample)));
for (let i = 0; i < 20; i++) {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" }), msg = noise(i);
  const own = new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })).subarray(26);
  const sig = new Uint8Array(sign("sha256", msg, pair.privateKey));
  ok("P-256 by node", p256Verify(own, sha256(msg), sig));
  sig[sig.length - 1 - i] ^= 1;
  ok("P-256 by node, changed", !p256Verify(own, sha256(msg), sig));
}

// Trees: other people's proofs, and every size to 64 by a dumb twin.
const merkle = vectors("merkle.json.gz"), bytes = (s) => unbase64(s ?? "");
let judged = 0;
for (const v of [...merkle.inclusion ?? merkle.Inclusion, ...merkle.consistency ?? merkle.Consistency]) {
  const all = v.root === undefined ? [v.root1, v.root2] : [v.root, v.leafHash];
  const h = [...all, ...v.proof ?? []].map(bytes);
  if (h.some((x) => x.length !== 32)) continue;
  if (v.size1 === 0 && v.wantErr && equal(h[0], EMPTY_ROOT) && h.length === 2) continue; // for us everything begins with the empty tree
  judged++;
  const err = throws(() => v.root === undefined ? checkConsistency(BigInt(v.size1), BigInt(v.size2), h[0], h[1], h.slice(2))
    : checkInclusion(BigInt(v.leafIdx), BigInt(v.treeSize), h[1], h.slice(2), h[0]));
  ok(`${v.file}: ${v.desc}`, (err !== null) === v.wantErr, String(err));
}
ok("merkle vectors", judged > 100, String(judged));

const leaves = Array.from({ length: 64 }, (_, i) => hashLeaf(noise(i)));
const rootOf = (list) => {
  const f = new Frontier();
  for (const h of list) f.append(h);
  return f.root();
};
for (let size = 1; size <= 64; size++) {
  for (let from = 0; from < size; from++) {
    const f = new Frontier();
    for (const h of leaves.slice(0, from)) f.append(h);
    let n = 0;
    for (let at = from; at < size; n++) {
      const level = gapLevel(BigInt(at), BigInt(size));
      f.appendTree(level, rootOf(leaves.slice(at, at + (1 << level))));
      at += 1 << level;
    }
    ok(`gap [${from}, ${size})`, equal(f.root(), rootOf(leaves.slice(0, size))) && n === gapCount(BigInt(from), BigInt(size)));
  }
}
ok("a gap of everything", gapCount(0n, (1n << 63n) - 1n) === 63 && gapLevel(1n << 62n, (1n << 62n) + 1n) === 0);

// Other programs' checkpoints.
const tessera = vectors("tessera.json"), log = new Frontier(), trusted = policyOfKey(tessera.vkey ?? tessera.VKey);
(tessera.checkpoints ?? tessera.Checkpoints).forEach((note, size) => {
  const c = trusted.open(utf8(note));
  ok(`tessera at ${size}`, c.Size === BigInt(size) && equal(c.Root, log.root()));
  const entries = tessera.entries ?? tessera.Entries;
  if (size < entries.length) log.append(hashLeaf(utf8(entries[size])));
});
const cosigned = vectors("cosigned.json");
ok("cosigned", parsePolicy(cosigned.policy).open(utf8(cosigned.checkpoint)).Witnesses.every((w) => w.Unix === 1795457775n));
ok("cosigned, changed", throws(() => parsePolicy(cosigned.policy).open(utf8(cosigned.checkpoint.replace("\n846\n", "\n847\n")))) !== null);

// The order of UTF-8 bytes is not that of UTF-16.
ok("order", compareText("\uff5e", "\u{1f600}") < 0 && compareText("a", "ab") < 0 && compareText("b", "ab") > 0 && compareText("\ue000", "\u{10000}") < 0);
void readJson;
