// The zip and its manifest: what the other implementation writes, and what it refuses.
import { parseManifest } from "../src/answer.js";
import { concatAll, equal, hex, utf8 } from "../src/bytes.js";
import { crc32 } from "../src/crc32.js";
import { Sha256 } from "../src/sha256.js";
import { centralHeader, descriptor, endRecord, localHeader, openArchive } from "../src/zip.js";
import { ok, readJson, throws } from "./lib.mjs";

const golden = readJson("verify", "bundle", "testdata", "zip64.json");
for (const c of golden.members) {
  const name = utf8(c.name), what = c.name + " of " + c.size + " bytes at " + c.offset;
  ok(what, hex(localHeader(name, c.size)) === c.local, "local header " + hex(localHeader(name, c.size)));
  ok(what, hex(descriptor(c.crc, c.size)) === c.descriptor, "descriptor " + hex(descriptor(c.crc, c.size)));
  ok(what, hex(centralHeader(name, c.crc, c.size, c.offset)) === c.central, "central header " + hex(centralHeader(name, c.crc, c.size, c.offset)));
}
for (const c of golden.ends) {
  const got = hex(endRecord(c.members, c.size, c.offset));
  ok(c.members + " members, directory of " + c.size + " at " + c.offset, got === c.end, got);
}

/** A file of bytes at places, and zeros between them. */
class Sparse {
  constructor(size, pieces) {
    this.size = size;
    this.pieces = pieces;
  }

  slice(from, to) {
    const b = new Uint8Array(Math.min(to, this.size) - from);
    for (const p of this.pieces) {
      const lo = Math.max(from, p.at), hi = Math.min(to, p.at + p.bytes.length);
      if (lo < hi) b.set(p.bytes.subarray(lo - p.at, hi - p.at), lo - from);
    }
    return { arrayBuffer: async () => b.buffer };
  }
}

const manifestOf = (files) => utf8("{\n  \"format\": \"daybook-bundle/v1\",\n  \"origin\": \"log.example\",\n  \"files\": [\n" + files.map((f) =>
  "    {\n      \"name\": \"" + f.name + "\",\n      \"size\": " + f.size + ",\n      \"sha256\": \"" + (f.sum ?? "0".repeat(64)) + "\"\n    }").join(",\n") + "\n  ]\n}\n");

/** The file of members, whose content is zeros where they have no bytes. */
function fileOf(files) {
  const pieces = [], central = [];
  let at = 0;
  const put = (bytes) => {
    pieces.push({ at, bytes });
    at += bytes.length;
  };
  const manifest = manifestOf(files);
  for (const f of [...files, { name: "manifest.json", size: manifest.length, bytes: manifest }]) {
    const name = utf8(f.name), crc = f.bytes === undefined ? f.crc ?? 0 : crc32(f.bytes, 0);
    central.push(centralHeader(name, crc, f.size, at));
    put(localHeader(name, f.size));
    if (f.bytes === undefined) at += f.size;
    else put(f.bytes);
    put(descriptor(crc, f.size));
  }
  const first = at;
  put(concatAll(central));
  put(endRecord(central.length, at - first, first));
  return new Sparse(at, pieces);
}

async function refused(fn) {
  try {
    await fn();
    return null;
  } catch (err) {
    return err;
  }
}

const whole = (b) => {
  const sha = new Sha256();
  sha.update(b);
  return hex(sha.digest());
};
const small = (name, text) => ({ name, size: text.length, bytes: utf8(text), sum: whole(utf8(text)) });

// A file over 4 GiB: its manifest and members are found.
for (const size of [0xfffffffe, 0xffffffff, 5 * 2 ** 32 + 7]) {
  const file = fileOf([small("question.json", "question"), { name: "report.html", size }]);
  const archive = await openArchive(file);
  ok("a member of " + size, archive.size("report.html") === size && equal(await archive.read("question.json", 100), utf8("question")));
  const end = file.pieces.at(-1);
  for (let i = 0; i < end.bytes.length - 22; i++) {
    const was = end.bytes[i];
    end.bytes[i] ^= 1 << i % 8;
    const err = await refused(async () => (await openArchive(file)).check(() => { throw new Error("the headers passed"); }));
    ok("byte " + i + " of the end", err !== null);
    end.bytes[i] = was;
  }
}

// No member is empty.
for (const size of ["0", String(2 ** 40 + 1)]) {
  ok("a member of " + size, throws(() => parseManifest(manifestOf([{ name: "question.json", size }]))) !== null);
}
ok("a member of 1", throws(() => parseManifest(manifestOf([{ name: "question.json", size: 1 }]))) === null);
