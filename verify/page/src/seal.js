// Sealed values of an event: absent from it, and counted as present.

import { Fault } from "./errors.js";

const ATTRIBUTE = 1500; // + i is the sealed number of attribute i's value
const TOPS = 18;

/** Fields that place or judge an entry, or that a commitment is made of. */
const unsealable = [1, 2, 3, 5, 6, 10, 11, 15, 16, 501, 601, 1101];

/** What must be known at the end of an event to judge its sealed list. */
export class SealState {
  #seen = new Map(); // by top: the fields that were there
  #missing = new Map(); // by top: {fields, message}
  #attributeValues = []; // whether attribute i has a value

  /** Notes a message: the event itself is top 0, that of its field n is top n. */
  note(top, message, seen, absent) {
    this.#seen.set(top, seen);
    if (absent.length > 0) this.#missing.set(top, { fields: new Set(absent), message });
  }

  /** Notes an element of the list that ascends by key or by field. */
  element(ascends, v) {
    if (ascends === "key") this.#attributeValues.push(v.value !== "");
  }

  #present(field, name) {
    if (field >= ATTRIBUTE && field < ATTRIBUTE + 64) {
      const i = field - ATTRIBUTE;
      if (i >= this.#attributeValues.length) throw new Fault("field " + name + ": not allowed");
      return this.#attributeValues[i];
    }
    const top = field >= 100 ? Math.floor(field / 100) : 0, n = field >= 100 ? field % 100 : field;
    if (top >= TOPS || n >= 64) return false;
    this.#missing.get(top)?.fields.delete(n);
    return this.#seen.get(top)?.has(n) ?? false;
  }

  /** Refuses what may not be sealed or is present too, and a required field that is neither. */
  check(sealed, event) {
    sealed.forEach((s, i) => {
      const name = "sealed[" + i + "].field";
      if (unsealable.includes(s.field)) throw new Fault("field " + name + ": not allowed");
      if (this.#present(s.field, name)) throw new Fault("field " + name + ": sealed and present");
    });
    const tops = [...this.#missing.keys()].sort((a, b) => a - b);
    for (const top of tops) {
      const { fields, message } = this.#missing.get(top);
      if (fields.size === 0) continue;
      const prefix = top > 0 ? event.fields[top].name + "." : "";
      throw new Fault("field " + prefix + message.fields[Math.min(...fields)].name + ": missing");
    }
  }
}
