// Tests what the page tells of files before it checks them, and what it says of verdicts.
import { createHash } from "node:crypto";
import { inputKind, inputTrust, sizeText } from "../src/inputs.js";
import { claimQuestion, resultText, stateView, unixText, verdictLine, verdictView } from "../src/verdicts.js";
import { ok, readJson } from "./lib.mjs";
import { fingerprintWords, policyKeys } from "../src/fingerprint.js";

function test(name, got, want) {
  ok(name, JSON.stringify(got) === JSON.stringify(want), `${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

const bytes = (s) => new TextEncoder().encode(s);
const vkey = "demo.invalid/log-0badcafe+47206f73+AdOzxWqvzHrx01cguhfxk+vk6ULoVNsjnByVMT7PYlEw";
const field = readJson("verify/testdata/vectors/cosigned.json");

test("a zip", inputKind(bytes("PK\u0003\u0004rest")), "bundle");
test("an encrypted file", inputKind(bytes("age-encryption.org/v1\n-> X25519 ")), "encrypted");
test("an armoured one", inputKind(bytes("-----BEGIN AGE ENCRYPTED FILE-----\n")), "encrypted");
test("a key", inputKind(bytes(vkey + "\n")), "key");
test("a long key, cut", inputKind(bytes(field.witnesses.w2).subarray(0, 1000)), "key");
test("a policy", inputKind(bytes(field.policy)), "policy");
test("a policy of one log", inputKind(bytes(`log ${vkey}\nquorum none\n`)), "policy");
test("a checkpoint", inputKind(bytes(field.checkpoint)), "checkpoint");
test("a long checkpoint, cut", inputKind(bytes(field.checkpoint).subarray(0, 300)), "checkpoint");
test("a consistency proof", inputKind(bytes("ZuJHxvtFOEujZohrhm+nl/FWKZvPtRDtWLejRDH1pYo=\n".repeat(2))), "proof");
test("a long one, cut", inputKind(bytes("ZuJHxvtFOEujZohrhm+nl/FWKZvPtRDtWLejRDH1pYo=\n".repeat(99)).subarray(0, 4096)), "proof");
test("a receipt is none of them", inputKind(bytes(field.receipt).subarray(0, 200)), "unknown");
test("nothing", inputKind(bytes("")), "unknown");
test("noise", inputKind(Uint8Array.of(255, 254, 0, 1)), "unknown");

test("no trust", inputTrust(" \n"), { policy: null, key: null });
test("a key typed in", inputTrust(`  ${vkey} \n`), { policy: null, key: vkey });
test("a policy pasted in", inputTrust("log x\nquorum none"), { policy: "log x\nquorum none\n", key: null });
test("sizes", [0, 999, 1000, 12_345_678, 3_999_999_999].map(sizeText), ["0 B", "999 B", "1.0 kB", "12.3 MB", "4.0 GB"]);

test("words of verdicts", [0, 1, 2, 3, 4, 5].map((Code) => verdictView({ Code }).Word),
  ["VERIFIED", "FAILED", "NOT CHECKED", "SELF-CONSISTENT", "VERIFIED WITH DECLARED GAPS", "NEEDS A NEWER VERIFIER"]);
test("each verdict says what to do", [0, 1, 2, 3, 4, 5].every((Code) => verdictView({ Code }).Todo.length > 0), true);
test("self-consistent says it", verdictView({ Code: 3 }).Means.includes("whoever made this file could have made all of it"), true);
test("an unknown code is no verdict", verdictView({ Code: 77 }).Word, "NOT CHECKED");
test("states need no colour", ["proved", "failed", "not claimed", "x"].map((s) => stateView(s, 0).Text), ["✓ proved", "✗ FAILED", "– not claimed", "? x"]);
test("nothing is proved by the file's own keys", stateView("proved", 3).Text, "if the keys are real");
test("claims have questions", ["unaltered", "complete as accepted", "complete as numbered", "authorized", "countersigned"].every((c) => claimQuestion(c) !== ""), true);
test("a verdict says what it leaves out", verdictView({ Code: 0, Claims: [{ Name: "complete as accepted", State: "not claimed" }] }).Means.includes("does not show all") &&
  verdictView({ Code: 0, Claims: [{ Name: "complete as accepted", State: "proved" }] }).Means.includes("nothing that the question asks for was left out"), true);
const open = (Code) => verdictLine(verdictView({ Code, Claims: [{ Name: "unaltered", State: "proved" }, { Name: "complete as accepted", State: "not claimed" }, { Name: "countersigned", State: "not claimed" }] }));
test("a verdict's line names what is not claimed", [0, 1, 2, 3, 4, 5].map(open), ["VERIFIED; not claimed: complete as accepted, countersigned", "FAILED", "NOT CHECKED",
  "SELF-CONSISTENT; not claimed: complete as accepted, countersigned", "VERIFIED WITH DECLARED GAPS; not claimed: complete as accepted, countersigned", "NEEDS A NEWER VERIFIER"]);
test("all is claimed", verdictLine(verdictView({ Code: 0, Claims: [{ Name: "unaltered", State: "proved" }] })), "VERIFIED");
test("a name that nobody knows is in the text", resultText({ Code: 0, Report: { Head: { Unknown: [{ Text: "from: nobody" }] } } }, "A.zip", "the key").includes("\nCAUTION: from: nobody\n"), true);
test("times", [unixText(1795661700n), unixText(1n << 62n)], ["2026-11-26T02:55:00Z", "second 4611686018427387904 of Unix time"]);
test("result as text", resultText({ Code: 1, Claims: [{ Name: "unaltered", State: "failed", Detail: "entry 7" }], Reason: "r", Member: "m", FirstBadIndex: 7n }, "A.zip", "the key"),
  "FAILED\nThis file is not what it claims to be. Do not rely on anything in it.\n\nFile: A.zip\nTrusted: the key\nReason: r\nMember: m\nEntry: 7\n\nunaltered: ✗ FAILED. entry 7\n");

const sum = (s) => new Uint8Array(createHash("sha256").update(s).digest());
for (const c of readJson("verify/testdata/conformance/fingerprint.json")) {
  if (c.input.sha256) test(`fingerprint ${c.name}`, fingerprintWords(Buffer.from(c.input.sha256, "hex")).join(" "), c.output.words);
  else if (c.verdict === "ok") test(`fingerprint ${c.name}`, fingerprintWords(sum(c.input.vkey)).join(" "), c.output.words);
}
test("words of a key", fingerprintWords(sum(vkey)).join(" "), "betray pride street tide echo scissors bid plastic explain treat ramp gadget");
test("words of 7f", fingerprintWords(new Uint8Array(32).fill(0x7f)).join(" "), "legal winner thank year wave sausage worth useful legal winner thank year");
test("keys of a policy", policyKeys(field.policy).map((k) => `${k.Role} ${k.Name}`), ["log example.com/audit/log1", "witness lw", "witness w1"]);
test("one key", policyKeys(vkey + "\n"), [{ Role: "log", Name: "demo.invalid/log-0badcafe", VKey: vkey }]);
