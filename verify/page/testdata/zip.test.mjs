// The zip and its manifest: what the other implementation writes, and what it refuses.
import { parseManifest } from "../src/answer.js";
import { utf8 } from "../src/bytes.js";
import { ok, throws } from "./lib.mjs";

const manifestOf = (files) => utf8("{\n  \"format\": \"daybook-bundle/v1\",\n  \"origin\": \"log.example\",\n  \"files\": [\n" + files.map((f) =>
  "    {\n      \"name\": \"" + f.name + "\",\n      \"size\": " + f.size + ",\n      \"sha256\": \"" + (f.sum ?? "0".repeat(64)) + "\"\n    }").join(",\n") + "\n  ]\n}\n");

// No member is empty.
for (const size of ["0", String(2 ** 40 + 1)]) {
  ok("a member of " + size, throws(() => parseManifest(manifestOf([{ name: "question.json", size }]))) !== null);
}
ok("a member of 1", throws(() => parseManifest(manifestOf([{ name: "question.json", size: 1 }]))) === null);
