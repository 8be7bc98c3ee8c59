// The one form of zip that a bundle is. Every byte of a header is made again from
// the manifest and compared.

import { concat, concatAll, equal, utf8 } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { Fault } from "./errors.js";
import { inMember } from "./json.js";
import { parseManifest } from "./answer.js";
import { Sha256 } from "./sha256.js";

const MANIFEST = "manifest.json", MAX_MANIFEST = 64 << 20, CHUNK = 4 << 20;
const MAX_FILE_SIZE = 2 ** 40 + MAX_MANIFEST;
const END_SIZE = 22, END64_SIZE = 56 + 20, CENTRAL_SIZE = 46;
const FULL16 = 0xffff, FULL32 = 0xffffffff; // what a field has that has no room for its number

const le16 = (n) => Uint8Array.of(n & 0xff, (n >>> 8) & 0xff);
const le32 = (n) => Uint8Array.of(n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24);
const le64 = (n) => concat(le32(n), le32(Math.floor(n / 2 ** 32))); // le32 has the lowest bits of a number up to 2^53

/** The extra field of zip64, with numbers that a header has no room for. */
function wideField(numbers) {
  return numbers.length === 0 ? new Uint8Array(0) : concat(le16(1), le16(8 * numbers.length), ...numbers.map(le64));
}

/** The header before a member; its size only tells its form. */
export function localHeader(name, size) {
  const wide = size >= FULL32, said = wide ? FULL32 : 0, extra = wideField(wide ? [0, 0] : []);
  return concat(le32(0x04034b50), le16(wide ? 45 : 20), le16(8), le16(0), le16(0), le16(0x21), le32(0), le32(said), le32(said), le16(name.length),
    le16(extra.length), name, extra);
}

/** What stands behind a member. */
export function descriptor(crc, size) {
  const form = size >= FULL32 ? le64 : le32;
  return concat(le32(0x08074b50), le32(crc), form(size), form(size));
}

/** A member's header in the directory. */
export function centralHeader(name, crc, size, offset) {
  const extra = wideField([...(size >= FULL32 ? [size, size] : []), ...(offset >= FULL32 ? [offset] : [])]), version = extra.length > 0 ? 45 : 20;
  const said = le32(Math.min(size, FULL32));
  return concat(le32(0x02014b50), le16(version), le16(version), le16(8), le16(0), le16(0), le16(0x21), le32(crc), said, said, le16(name.length),
    le16(extra.length), le16(0), le16(0), le16(0), le32(0), le32(Math.min(offset, FULL32)), name, extra);
}

/** What stands behind the directory. */
export function endRecord(count, size, offset) {
  const end = concat(le32(0x06054b50), le16(0), le16(0), le16(Math.min(count, FULL16)), le16(Math.min(count, FULL16)), le32(Math.min(size, FULL32)),
    le32(Math.min(offset, FULL32)), le16(0));
  if (count < FULL16 && size < FULL32 && offset < FULL32) return end;
  return concat(le32(0x06064b50), le64(44), le16(45), le16(45), le64(0), le64(count), le64(count), le64(size), le64(offset),
    le32(0x07064b50), le32(0), le64(offset + size), le32(1), end);
}

async function readAt(blob, from, to) {
  const b = new Uint8Array(await blob.slice(from, to).arrayBuffer());
  if (b.length !== to - from) throw new Fault("the file is cut short");
  return b;
}

function numberAt(b, at) {
  return (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;
}

/** A number of eight bytes; beyond 2^53 it is about that, which is beyond every file. */
function wideAt(b, at) {
  return numberAt(b, at) + numberAt(b, at + 4) * 2 ** 32;
}

/** Where the directory begins and ends. */
async function findDirectory(blob) {
  const last = await readAt(blob, blob.size - END_SIZE, blob.size);
  let end = blob.size - END_SIZE, size = numberAt(last, 12), first = numberAt(last, 16), good = numberAt(last, 0) === 0x06054b50;
  if (((last[10] === 0xff && last[11] === 0xff) || size === FULL32 || first === FULL32) && end >= END64_SIZE) {
    end -= END64_SIZE;
    const wide = await readAt(blob, end, end + END64_SIZE);
    good &&= numberAt(wide, 0) === 0x06064b50;
    size = wideAt(wide, 40);
    first = wideAt(wide, 48);
  }
  if (!good || first + size !== end) throw new Fault("it does not end as an examination file does: its tail may be cut");
  return { first, end };
}

/** The manifest's bytes: the last header of the directory is its. What is read here is compared later. */
async function findManifest(blob) {
  if (blob.size < END_SIZE || blob.size > MAX_FILE_SIZE) throw new Fault("a file of " + blob.size + " bytes is no examination file");
  const { first, end } = await findDirectory(blob), name = utf8(MANIFEST);
  for (const extra of [0, 12]) {
    const at = end - CENTRAL_SIZE - name.length - extra;
    if (at < first) throw new Fault("it has no manifest");
    const last = await readAt(blob, at, end);
    if (numberAt(last, 0) !== 0x02014b50 || !equal(last.subarray(CENTRAL_SIZE, CENTRAL_SIZE + name.length), name)) continue;
    const size = numberAt(last, 24), offset = (extra === 0 ? numberAt(last, 42) : wideAt(last, last.length - 8)) + 30 + name.length;
    if (size > MAX_MANIFEST || offset + size > at) {
      throw new Fault(MANIFEST + ": it has no room in the file, or over " + MAX_MANIFEST + " bytes", { member: MANIFEST });
    }
    return readAt(blob, offset, offset + size);
  }
  throw new Fault("its last member is not the manifest");
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
      const start = offset;
      offset += localHeader(utf8(f.name), f.size).length;
      this.#members.set(f.name, { ...f, start, offset });
      offset += f.size + descriptor(0, f.size).length;
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
      const name = utf8(m.name);
      await this.#expect(m.start, localHeader(name, m.size), m.name, "its header is not as it must be");
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
      central.push(centralHeader(name, crc, m.size, m.start));
    }
    const directory = concatAll(central);
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
