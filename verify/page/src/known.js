// The known entries of a bundle, in the order of the log.

import { readU16 } from "./bytes.js";
import { parseBody, parseEntry } from "./entry.js";
import { Fault } from "./errors.js";
import { isEntries } from "./members.js";
import { GOVERNED } from "./select.js";
import { memberFault } from "./rows.js";
import { word } from "./words.js";

const GOVERNANCE = "governance.bin", MAX_ENTRIES_FILE = 32 << 20;

/** Reads u16 length || bytes after each other. */
export class EntryStream {
  #input;
  #before = null;

  constructor(archive, name) {
    this.#input = archive.stream(name);
    this.name = name;
    this.size = archive.size(name);
  }

  /** The next entry, parsed with its body; null: there is none. */
  async next() {
    const input = this.#input;
    if (input.left === 0) return null;
    if (!input.has(2)) await input.fill(2);
    const n = readU16(input.peek(2), 0);
    if (!input.has(2 + n)) await input.fill(2 + n);
    const bytes = input.take(2 + n).subarray(2);
    let e;
    try {
      e = parseEntry(bytes, this.#before);
      this.#before = e;
      e.message = parseBody(e.place.kind, e.body);
    } catch (err) {
      throw memberFault(this.name, e === undefined ? "" : "entry " + e.place.index + ": ", err);
    }
    e.member = this.name;
    return e;
  }
}

/** A fault of an entry. */
export function entryFault(e, err) {
  if (!(err instanceof Fault) || err.member !== "") return err;
  return new Fault(e.member + ": entry " + e.place.index + ": " + err.message, { member: e.member, index: e.place.index });
}

/** Governance and the other known entries, ascending by index. */
export class KnownEntries {
  #archive;
  #governance;
  #others = null;
  #number = 0; // of the file of others that is read
  #last; // the last number there is
  #pending = [undefined, undefined];
  #before = -1n;

  constructor(archive) {
    this.#archive = archive;
    this.#governance = new EntryStream(archive, GOVERNANCE);
    this.#last = archive.names.filter(isEntries).length;
  }

  async #nextOther() {
    for (;;) {
      const e = this.#others === null ? null : await this.#others.next();
      if (e !== null) {
        this.#checkStart(e);
        if (GOVERNED.includes(e.place.kind)) throw entryFault(e, new Fault("an entry of kind " + word("Kind", e.place.kind) + " stands elsewhere"));
        return e;
      }
      if (this.#number === this.#last) return null;
      const before = this.#others?.size ?? MAX_ENTRIES_FILE;
      const name = "entries/" + String(++this.#number).padStart(6, "0") + ".bin";
      if (!this.#archive.has(name)) throw new Fault(name + ": missing", { member: name });
      this.#others = new EntryStream(this.#archive, name);
      this.#others.room = MAX_ENTRIES_FILE - before;
      if (this.#others.size > MAX_ENTRIES_FILE) throw new Fault(name + ": over " + MAX_ENTRIES_FILE + " bytes", { member: name });
    }
  }

  /** A file begins only where the next item had no room in the one before. */
  #checkStart(e) {
    const stream = this.#others;
    if (stream.started === true) return;
    stream.started = true;
    if (2 + e.bytes.length <= stream.room) throw new Fault(stream.name + ": its first entry has room in the file before", { member: stream.name });
  }

  /** Refuses files of entries that were not reached. */
  finish() {
    const name = this.#archive.names.find((n) => isEntries(n) && Number(n.slice(8, 14)) > this.#last);
    if (name !== undefined) throw new Fault(name + ": a file before it is missing", { member: name });
  }

  /** The next known entry; null: there is none. The body's message is in e.message. */
  async next() {
    const p = this.#pending;
    if (p[0] === undefined) p[0] = await this.#governance.next();
    if (p[1] === undefined) p[1] = await this.#nextOther();
    const at = p[0] === null || (p[1] !== null && p[1].place.index < p[0].place.index) ? 1 : 0;
    const e = p[at];
    if (e === null) return null;
    p[at] = undefined;
    if (e.place.index <= this.#before) throw entryFault(e, new Fault("it does not come after the one before"));
    this.#before = e.place.index;
    return e;
  }
}
