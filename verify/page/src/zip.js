// The one form of zip that a bundle is. Every byte of a header is made again from
// the manifest and compared.

import { concat, equal, utf8 } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { Fault } from "./errors.js";
import { inMember } from "./json.js";
import { parseManifest } from "./answer.js";
import { Sha256 } from "./sha256.js";

const MANIFEST = "manifest.json", MAX_MANIFEST = 16 << 20, CHUNK = 4 << 20;
const MAX_FILE_SIZE = 2 ** 32 - 2 ** 20 + MAX_MANIFEST;
const END_SIZE = 22, DESCRIPTOR_SIZE = 16;

const le16 = (n) => Uint8Array.of(n & 0xff, (n >>> 8) & 0xff);
const le32 = (n) => Uint8Array.of(n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24);

function localHeader(name) {
  return concat(le32(0x04034b50), le16(20), le16(8), le16(0), le16(0), le16(0x21), le32(0), le32(0), le32(0), le16(name.length), le16(0), name);
}

function descriptor(crc, size) {
  return concat(le32(0x08074b50), le32(crc), le32(size), le32(size));
}

function centralHeader(name, crc, size, offset) {
  return concat(le32(0x02014b50), le16(20), le16(20), le16(8), le16(0), le16(0), le16(0x21), le32(crc), le32(size), le32(size), le16(name.length),
    le16(0), le16(0), le16(0), le16(0), le32(0), le32(offset), name);
}

function endRecord(count, size, offset) {
  return concat(le32(0x06054b50), le16(0), le16(0), le16(count), le16(count), le32(size), le32(offset), le16(0));
}

async function readAt(blob, from, to) {
  const b = new Uint8Array(await blob.slice(from, to).arrayBuffer());
  if (b.length !== to - from) throw new Fault("the file is cut short");
  return b;
}

function numberAt(b, at) {
  return (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;
}

/** The manifest's bytes: the last header of the central directory is its. */
async function findManifest(blob) {
  const none = (why, member = "") => new Fault(why, { member });
  if (blob.size < END_SIZE || blob.size > MAX_FILE_SIZE) throw none("a file of " + blob.size + " bytes is no examination file");
  const end = await readAt(blob, blob.size - END_SIZE, blob.size), central = numberAt(end, 16);
  if (numberAt(end, 0) !== 0x06054b50 || central + numberAt(end, 12) !== blob.size - END_SIZE) {
    throw none("it does not end as an examination file does: its tail may be cut");
  }
  const at = blob.size - END_SIZE - 46 - MANIFEST.length;
  if (at < central) throw none("it has no manifest");
  const last = await readAt(blob, at, at + 46 + MANIFEST.length);
  if (numberAt(last, 0) !== 0x02014b50 || !equal(last.subarray(46), utf8(MANIFEST))) throw none("its last member is not the manifest");
  const size = numberAt(last, 24), offset = numberAt(last, 42) + 30 + MANIFEST.length;
  if (size > MAX_MANIFEST || offset + size > at) throw none(MANIFEST + ": it has no room in the file, or over " + MAX_MANIFEST + " bytes", MANIFEST);
  return readAt(blob, offset, offset + size);
}

/** The members of a bundle, whose bytes have the sums that the manifest gives them. */
export class Archive {
  #blob;
  #members = new Map(); // by name: {name, offset, size, sha256}

  /** Lays the members out as the manifest has them. */
  constructor(blob, manifest, manifestBytes) {
    this.#blob = blob;
    this.manifest = manifest;
    this.names = manifest.files.map((f) => f.name);
    let offset = 0;
    for (const f of [...manifest.files, { name: MANIFEST, size: manifestBytes.length, sha256: null }]) {
      offset += 30 + f.name.length;
      this.#members.set(f.name, { ...f, offset });
      offset += f.size + DESCRIPTOR_SIZE;
    }
    this.dataEnd = offset;
  }

  has(name) {
    return this.#members.has(name);
  }

  size(name) {
    return this.#members.get(name)?.size ?? 0;
  }

  sum(name) {
    return this.#members.get(name).sha256;
  }

  /** The bytes of a member, all at once; limit bounds them. */
  async read(name, limit) {
    const m = this.#members.get(name);
    if (m === undefined) throw new Fault(name + ": missing", { member: name });
    if (m.size > limit) throw new Fault(name + ": " + m.size + " bytes, limit " + limit, { member: name });
    return readAt(this.#blob, m.offset, m.offset + m.size);
  }

  /** The bytes of the manifest. */
  async manifestBytes() {
    return this.read(MANIFEST, MAX_MANIFEST);
  }

  /** A stream of the bytes of a member; of none where it is not there. */
  stream(name) {
    const m = this.#members.get(name) ?? { offset: 0, size: 0 };
    return new ByteStream(this.#blob, m.offset, m.offset + m.size, name);
  }

  /** Reads the whole file once: headers, CRCs, sums. tick is awaited with the bytes that were read. */
  async check(tick) {
    const central = [];
    for (const m of this.#members.values()) {
      const name = utf8(m.name), offset = m.offset - 30 - name.length;
      await this.#expect(offset, localHeader(name), m.name, "its header is not as it must be");
      const sha = new Sha256();
      let crc = 0;
      for (let at = 0; at < m.size; at += CHUNK) {
        const b = await readAt(this.#blob, m.offset + at, m.offset + Math.min(at + CHUNK, m.size));
        sha.update(b);
        crc = crc32(b, crc);
        await tick(b.length);
      }
      if (m.sha256 !== null && !equal(sha.digest(), m.sha256)) throw new Fault(m.name + ": its SHA-256 is not the manifest's", { member: m.name });
      await this.#expect(m.offset + m.size, descriptor(crc, m.size), m.name, "its header is not as it must be");
      central.push(centralHeader(name, crc, m.size, offset));
    }
    const directory = concat(...central);
    await this.#expect(this.dataEnd, directory, "", "the directory is not as it must be");
    const end = endRecord(central.length, directory.length, this.dataEnd);
    await this.#expect(this.dataEnd + directory.length, end, "", "the end of the file is not as it must be");
    if (this.#blob.size !== this.dataEnd + directory.length + end.length) throw new Fault("bytes after the end of the file");
  }

  async #expect(at, want, member, why) {
    const got = at + want.length <= this.#blob.size ? await readAt(this.#blob, at, at + want.length) : null;
    if (got === null || !equal(got, want)) throw new Fault((member === "" ? "zip" : member) + ": " + why, { member });
  }
}

/** Opens a bundle by its manifest. Nothing but the manifest is read. */
export async function openArchive(blob) {
  const b = await findManifest(blob);
  return inMember(MANIFEST, () => {
    const m = parseManifest(b);
    return new Archive(blob, m, b);
  });
}

/** Bytes of a member in order, some MiB of them in memory. */
export class ByteStream {
  #blob;
  #next;
  #end;
  #buffer = new Uint8Array(0);
  #at = 0;

  constructor(blob, from, to, name) {
    this.#blob = blob;
    this.#next = from;
    this.#end = to;
    this.name = name;
  }

  /** How many bytes are left. */
  get left() {
    return this.#buffer.length - this.#at + this.#end - this.#next;
  }

  /** Whether n bytes can be taken without waiting. */
  has(n) {
    return this.#buffer.length - this.#at >= n;
  }

  /** Waits until n bytes can be taken. */
  async fill(n) {
    if (this.has(n)) return;
    if (n > this.left) throw new Fault(this.name + ": cut short", { member: this.name });
    const want = Math.min(Math.max(n - (this.#buffer.length - this.#at), CHUNK), this.#end - this.#next);
    const more = await readAt(this.#blob, this.#next, this.#next + want);
    this.#buffer = concat(this.#buffer.subarray(this.#at), more);
    this.#at = 0;
    this.#next += want;
  }

  /** The next n bytes, which were waited for. They stay as they are. */
  take(n) {
    this.#at += n;
    return this.#buffer.subarray(this.#at - n, this.#at);
  }

  /** Bytes that take() would give, without taking them. */
  peek(n) {
    return this.#buffer.subarray(this.#at, this.#at + n);
  }
}
