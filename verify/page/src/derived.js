// The members that are made from others: each is made anew, and its bytes must
// have the SHA-256 that the manifest gives, as the bytes of the file have.

import { equal } from "./bytes.js";
import { Fault } from "./errors.js";
import { isDerived } from "./members.js";
import { Sha256 } from "./sha256.js";

/** What a report writes into. */
export class DerivedSink {
  #archive;
  #made = new Set();

  constructor(archive) {
    this.#archive = archive;
  }

  /** Begins a member: {write(bytes), close()}. */
  create(name) {
    const archive = this.#archive, sha = new Sha256();
    if (this.#made.has(name)) throw new Error("member " + name + " is made twice");
    this.#made.add(name);
    if (!archive.has(name)) throw new Fault(name + ": missing, though it follows from the others", { member: name });
    let size = 0;
    return {
      write(b) {
        size += b.length;
        sha.update(b);
      },
      close() {
        if (size !== archive.size(name) || !equal(sha.digest(), archive.sum(name))) {
          throw new Fault(name + ": it is not what the proven bytes make", { member: name });
        }
      },
    };
  }

  /** Refuses derived members that nothing made. */
  finish() {
    for (const name of this.#archive.names) {
      if (isDerived(name) && !this.#made.has(name)) throw new Fault(name + ": it follows from nothing", { member: name });
    }
  }
}
