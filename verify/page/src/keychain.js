// Under which keys a log stands, and what ended it.

import { equal, MAX_SIZE, text, utf8 } from "./bytes.js";
import { within } from "./approvals.js";
import { parseCheckpoint } from "./checkpoint.js";
import { parseBody } from "./entry.js";
import { Fault, Newer } from "./errors.js";
import { KEY_ED25519, parseVKey, splitNote, verifySignature } from "./note.js";
import { Policy } from "./policy.js";
import { sha256 } from "./sha256.js";
import { KIND } from "./words.js";

const ROTATED = 1, RETIRED = 2; // of KeyStep
const SUBJECT_KEY_ROTATION = 5, SUBJECT_SUCCESSION = 6;

function logKey(vkey, since) {
  const key = parseVKey(vkey);
  if (key.typ !== KEY_ED25519) throw new Fault("vkey " + JSON.stringify(vkey.slice(0, 60)) + ": a log signs with Ed25519");
  return { vkey, key, fingerprint: sha256(utf8(vkey)), since, ended: 0n, compromised: false, bridge: new Uint8Array(0) };
}

/** Checks that the new key, and nothing else, signed that it takes the place of the old one. */
function checkRotationNote(m, key) {
  const { text: message, signatures } = splitNote(m.note);
  if (text(message) !== "daybook key rotation/v1\n" + m.old_vkey + "\n" + m.new_vkey + "\n") throw new Fault("key rotation: the note is not about these two keys");
  if (signatures.length !== 1 || signatures[0].name !== key.name || signatures[0].keyID !== key.id) {
    throw new Fault("key rotation: the note is not signed with the new key alone");
  }
  verifySignature(key, message, null, signatures[0].blob);
}

/** The keys of a log, from its first and its rotations, and its succession. */
export class Reign {
  #origin = null;
  #keys = []; // oldest first; the last is the present one
  succeeded = false; // another log goes on
  #rotation = 0n; // index of the rotation whose overlap is under way, plus 1

  /** Takes an entry that opens the origin, rotates its key, or ends it; throws where it may not stand there. */
  take(index, logTimeNS, kind, body, judge) {
    const m = parseBody(kind, body);
    if (kind === KIND["origin-opened"]) {
      const k = logKey(m.vkey, 0n);
      if (k.key.name !== m.origin) throw new Fault("vkey of " + k.key.name + " under origin " + m.origin);
      this.#origin = m.origin, this.#keys = [k], this.#rotation = 0n;
      return;
    }
    if (this.#origin === null) throw new Fault("key rotation or succession before the origin was opened");
    if (kind === KIND.succession) this.#succeed(m, logTimeNS, judge);
    else if (m.step === ROTATED) this.#rotate(index, m, logTimeNS, judge);
    else if (m.step === RETIRED) this.#retire(index, m);
    else throw new Newer("key rotation: step " + m.step);
  }

  #rotate(index, m, logTimeNS, judge) {
    const added = logKey(m.new_vkey, index), refuse = (why) => {
      throw new Fault("key rotation: " + why);
    };
    if (m.old_vkey !== this.#keys.at(-1).vkey) refuse("it is not from the present key");
    if (added.key.name !== this.#origin) refuse("the new key is of " + added.key.name);
    if (this.#keys.some((k) => equal(k.key.public, added.key.public))) refuse("the log has had this key before");
    if (this.#rotation !== 0n && !m.compromised) refuse("the overlap since entry " + (this.#rotation - 1n) + " is under way");
    if (m.rotation !== 0n || m.approvals.length === 0) refuse("no approval, or it names a rotation");
    checkRotationNote(m, added.key);
    agreed(judge, { act: "the key rotation", subject: SUBJECT_KEY_ROTATION, sum: sha256(utf8(m.new_vkey)), requester: m.requester, approvals: m.approvals, at: logTimeNS });
    this.#rotation = m.compromised ? 0n : index + 1n;
    for (const k of m.compromised ? this.#keys : []) if (k.ended === 0n) k.ended = index + 1n, k.compromised = true;
    this.#keys.push(added);
  }

  #retire(index, m) {
    const refuse = (why) => {
      throw new Fault("key retirement: " + why);
    };
    if (this.#rotation === 0n) refuse("no overlap is under way");
    if (m.rotation !== this.#rotation || m.approvals.length !== 0) refuse("it must name the rotation of entry " + (this.#rotation - 1n) + ", and no approval");
    const [old, present] = this.#keys.slice(-2);
    if (m.new_vkey !== present.vkey || m.old_vkey !== old.vkey) refuse("it names other keys than the rotation");
    if (m.note.length > 0) {
      for (const k of [present, old]) {
        const p = new Policy();
        p.logs.push(k.key);
        const o = p.open(m.note);
        if (o.Size < this.#rotation || o.Size > index) refuse("a checkpoint of size " + o.Size + " does not cover the rotation, or covers the retirement");
      }
    }
    old.ended = index + 1n, old.compromised = m.compromised, old.bridge = m.note.slice();
    this.#rotation = 0n;
  }

  #succeed(m, logTimeNS, judge) {
    const name = parseVKey(m.vkey).name;
    if (name !== m.origin) throw new Fault("succession: the key is of " + name + ", not of " + m.origin);
    if (m.origin === this.#origin) throw new Fault("succession: a log does not succeed itself");
    agreed(judge, { act: "the succession", subject: SUBJECT_SUCCESSION, sum: sha256(utf8(m.vkey)), requester: m.requester, approvals: m.approvals, at: logTimeNS });
    this.succeeded = true;
  }

  /** The fingerprint of the present key; null: the origin is not opened. */
  fingerprint() {
    return this.#keys.at(-1)?.fingerprint ?? null;
  }

  /** Every key the log has had, oldest first: {vkey, key, fingerprint, since, until, compromised}; until is the largest size it may sign. */
  keys() {
    return this.#keys.map(({ vkey, key, fingerprint, since, ended, compromised }) => (
      { vkey, key, fingerprint, since, until: ended === 0n ? MAX_SIZE : ended - 1n, compromised }));
  }

  /** The checkpoints in the retirements, by which who trusts the old key goes on to the next, oldest first: {note, size, root, index}. */
  bridges() {
    return this.#keys.filter((k) => k.bridge.length > 0).map((k) => {
      const c = parseCheckpoint(text(splitNote(k.bridge).text));
      return { note: k.bridge, size: c.Size, root: c.Root, index: k.ended - 1n };
    });
  }

  /** The size of a note by which key i-1 says that key i follows it: one that it signed, may sign, and that covers the rotation; null: it does not. */
  vouched(i, note) {
    const old = this.#keys[i - 1], p = new Policy();
    p.logs.push(old.key);
    let o;
    try {
      o = p.open(note);
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      return null;
    }
    const standing = !old.compromised && (old.ended === 0n || o.Size < old.ended);
    return standing && o.Size > this.#keys[i].since ? o.Size : null;
  }

  /**
   * Opens a checkpoint of the log: a key that may sign that size signed it.
   * compromised tells that only one did that is in other hands. Throws a Fault; its
   * unsigned says that no key of the log signed.
   */
  openCheckpoint(note) {
    const { text: message, signatures } = splitNote(note), c = parseCheckpoint(text(message));
    let good = false, compromised = false, ended = false;
    for (const s of signatures) {
      for (const k of this.#keys) {
        if (k.key.name !== s.name || k.key.id !== s.keyID) continue;
        verifySignature(k.key, message, c, s.blob);
        if (k.ended !== 0n && c.Size > k.ended - 1n) ended = true;
        else if (k.compromised) compromised = true;
        else good = true;
      }
    }
    const own = c.Origin === this.#origin;
    if (own && (good || compromised)) return { ...c, compromised: !good };
    const err = new Fault("checkpoint of " + JSON.stringify(c.Origin) + " at size " + c.Size + ": " +
      (ended && own ? "the key that signed it had ended before that size" : "no signature by a key of the log"));
    err.unsigned = !ended || !own;
    throw err;
  }
}

/** Refuses an act unless every approval that it names is one of it, and one of them is by another person than who asks. */
function agreed(judge, pact) {
  const same = (a, b) => (judge.version === null ? a === b : judge.version.map.person(a) === judge.version.map.person(b));
  for (const at of pact.approvals) {
    const a = judge.approvals.at(at - 1n);
    if (at === 0n || a === undefined) throw new Fault(pact.act + ": entry " + (at - 1n) + " is no approval before it");
    const m = a.Body;
    if (m.subject !== pact.subject || !equal(m.sha256, pact.sum)) throw new Fault(pact.act + ": the approval of entry " + (at - 1n) + " is about something else");
    if (a.Revocation === 0n && within(a, pact.at) && !same(m.approver, pact.requester) && !same(m.approver, m.requester)) return;
  }
  throw new Fault(pact.act + " needs an approval by somebody else than who asks for it");
}
