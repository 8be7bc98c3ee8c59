// Policies (c2sp.org/tlog-policy): which logs are trusted, and whose
// cosignatures a checkpoint needs.

import { decimal, equal, text, utf8 } from "./bytes.js";
import { parseCheckpoint } from "./checkpoint.js";
import { Fault, worded } from "./errors.js";
import { KEY_COSIGNATURE, KEY_ED25519, parseVKey, splitNote, verifySignature } from "./note.js";

const MAX_POLICY = 1 << 20;

/** The policy that trusts one log and asks for no cosignature. */
export function policyOfKey(vkey) {
  return parsePolicy("log " + vkey + "\nquorum none\n");
}

/**
 * Reads a policy.
 * @param {Uint8Array|string} policy
 */
export function parsePolicy(policy) {
  const b = typeof policy === "string" ? utf8(policy) : policy;
  if (b.length > MAX_POLICY) throw new Fault("policy of " + b.length + " bytes, limit " + MAX_POLICY);
  let s = ""; // one character for each byte: only the names in keys must be UTF-8
  for (let i = 0; i < b.length; i += 4096) s += String.fromCharCode(...b.subarray(i, i + 4096));
  const p = new Policy();
  s.split("\n").forEach((line, i) => {
    try {
      p.line(line);
    } catch (err) {
      throw worded("policy line " + (i + 1), err);
    }
  });
  p.check();
  return p;
}

/** The key in a word of a policy, whose characters stand for bytes. */
function keyOf(word) {
  let s;
  try {
    s = text(Uint8Array.from(word, (c) => c.charCodeAt(0)));
  } catch {
    throw new Fault("vkey is not UTF-8");
  }
  return parseVKey(s);
}

/** Immutable once it is read. */
export class Policy {
  logs = [];
  witnesses = [];
  members = []; // witnesses and groups; members are defined before they are used
  quorum = -1; // of members
  #haveLine = false;

  line(line) {
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) throw new Fault("control character");
    const [verb, ...args] = line.split(/[ \t]+/).filter((f) => f !== "");
    if (verb === undefined || line.startsWith("#")) return;
    switch (verb) {
      case "log": this.#addLog(args); break;
      case "witness": this.#addWitness(args); break;
      case "group": this.#addGroup(args); break;
      case "quorum": this.#setQuorum(args); break;
      default: throw new Fault("unknown word " + JSON.stringify(verb.slice(0, 30)));
    }
  }

  #addLog(args) {
    if (args.length < 1 || args.length > 2) throw new Fault("want: log <vkey> [url]");
    const k = keyOf(args[0]);
    if (k.typ === KEY_COSIGNATURE) throw new Fault("log " + k.name + " has a key for cosignatures");
    this.logs.push(k);
  }

  #addWitness(args) {
    if (args.length < 2 || args.length > 3) throw new Fault("want: witness <name> <vkey> [url]");
    const k = keyOf(args[1]);
    if (k.typ === KEY_ED25519) throw new Fault("witness " + args[0] + " has a key that is not for cosignatures");
    this.#define({ name: args[0], key: this.witnesses.length, members: [], need: 0, grouped: false });
    this.witnesses.push(k);
  }

  #addGroup(args) {
    if (args.length < 3) throw new Fault("want: group <name> all|any|<k> and its members");
    const g = { name: args[0], key: -1, members: [], need: 0, grouped: false };
    for (const name of args.slice(2)) {
      const i = this.members.findIndex((m) => m.name === name);
      if (i < 0) throw new Fault("group " + g.name + ": member " + name + " is not defined");
      if (this.members[i].grouped) throw new Fault("group " + g.name + ": " + name + " is a member already");
      this.members[i].grouped = true;
      g.members.push(i);
    }
    if (args[1] === "any") g.need = 1;
    else if (args[1] === "all") g.need = g.members.length;
    else {
      const k = /^(0|[1-9][0-9]{0,18})$/.test(args[1]) ? decimal(args[1]) : 0n;
      if (k < 1n || k > BigInt(g.members.length)) throw new Fault("group " + g.name + ": threshold of " + g.members.length + " members");
      g.need = Number(k);
    }
    this.#define(g);
  }

  #setQuorum(args) {
    if (args.length !== 1) throw new Fault("want: quorum <name>|none");
    if (this.#haveLine) throw new Fault("second quorum");
    this.#haveLine = true;
    if (args[0] === "none") return;
    this.quorum = this.members.findIndex((m) => m.name === args[0]);
    if (this.quorum < 0) throw new Fault("quorum " + args[0] + " is not defined");
  }

  #define(m) {
    if (m.name === "none" || this.members.some((o) => o.name === m.name)) throw new Fault("name " + m.name + " is taken");
    this.members.push(m);
  }

  /** Refuses what no line alone shows. */
  check() {
    if (this.logs.length === 0) throw new Fault("policy has no log");
    if (!this.#haveLine) throw new Fault("policy has no quorum");
    const keys = [...this.logs, ...this.witnesses];
    keys.forEach((a, i) => keys.slice(0, i).forEach((b, j) => {
      if (equal(a.public, b.public)) throw new Fault("policy has the key of " + a.name + " twice");
      if (a.name === b.name && a.id === b.id) throw new Fault("policy has two keys of " + a.name + " with one id");
      if (i >= this.logs.length && j < this.logs.length && a.name === b.name) {
        throw new Fault("policy has " + a.name + " as a log and as its own witness");
      }
    }));
  }

  /** Tells whether the policy has a key of a log of that origin. */
  hasLog(origin) {
    return this.logs.some((k) => k.name === origin);
  }

  /** Tells whether a key is one of the policy's logs. */
  names(key) {
    return this.logs.some((k) => k.typ === key.typ && k.name === key.name && equal(k.public, key.public));
  }

  /** The policy with other logs, and the same witnesses and quorum. */
  under(logs) {
    const p = new Policy();
    p.logs = logs, p.witnesses = this.witnesses, p.members = this.members, p.quorum = this.quorum;
    return p;
  }

  /**
   * Opens a signed note as a checkpoint: a log of the policy signed it under its
   * origin, and the quorum cosigned it. A signature of a key of the policy that
   * does not verify refuses the whole note; those of other keys are ignored.
   * @returns {{Origin, Size, Root, Witnesses: {Name: string, Unix: bigint}[]}}
   */
  open(note) {
    const { text: message, signatures } = splitNote(note);
    const c = parseCheckpoint(text(message));
    const keys = [...this.logs, ...this.witnesses], signed = new Set(), witnesses = [];
    for (const s of signatures) {
      for (const k of keys) {
        if (k.name !== s.name || k.id !== s.keyID) continue;
        const unix = verifySignature(k, message, c, s.blob);
        if (this.witnesses.includes(k) && !signed.has(k)) witnesses.push({ Name: k.name, Unix: unix });
        signed.add(k);
      }
    }
    if (!this.logs.some((k) => signed.has(k) && k.name === c.Origin)) {
      const err = new Fault("checkpoint of " + JSON.stringify(c.Origin) + ": no signature by a log of the policy");
      err.unsigned = true;
      throw err;
    }
    if (!this.#satisfied(signed)) {
      const err = new Fault("checkpoint of " + JSON.stringify(c.Origin) + ": the policy's quorum of witnesses did not cosign");
      err.quorum = true;
      throw err;
    }
    return { ...c, Witnesses: witnesses };
  }

  #satisfied(signed) {
    if (this.quorum < 0) return true;
    const have = [];
    for (const m of this.members) {
      if (m.key >= 0) have.push(signed.has(this.witnesses[m.key]));
      else have.push(m.members.filter((i) => have[i]).length >= m.need);
    }
    return have[this.quorum];
  }
}
