// What the check needs of a producer's X.509 certificate: its public key.

import { equal, unhex } from "./bytes.js";
import { ed25519Verify } from "./ed25519.js";
import { Fault } from "./errors.js";
import { p256CheckKey, p256Verify } from "./p256.js";
import { sha256 } from "./sha256.js";

const SEQUENCE = 0x30, INTEGER = 2, VERSION = 0xa0, EXTENSIONS = 0xa3, ISSUER_ID = 0x81, SUBJECT_ID = 0x82;
const spkiEd25519 = unhex("302a300506032b6570032100");
const spkiP256 = unhex("3059301306072a8648ce3d020106082a8648ce3d030107034200");

/** Splits the first DER element off b: one-byte tags, definite minimal lengths up to 65,535. */
function derElement(b) {
  const malformed = () => new Fault("certificate: malformed length");
  if (b.length < 2 || (b[0] & 0x1f) === 0x1f) throw new Fault("certificate: malformed element");
  let n = b[1], head = 2;
  if (n === 0x81 && b.length >= 3 && b[2] >= 0x80) n = b[2], head = 3;
  else if (n === 0x82 && b.length >= 4 && b[2] > 0) n = (b[2] << 8) | b[3], head = 4;
  else if (n >= 0x80) throw malformed();
  if (n > b.length - head) throw new Fault("certificate: cut short");
  return { tag: b[0], content: b.subarray(head, head + n), whole: b.subarray(0, head + n), rest: b.subarray(head + n) };
}

function derOf(b, tag) {
  const e = derElement(b);
  if (e.tag !== tag) throw new Fault("certificate: tag 0x" + e.tag.toString(16) + ", want 0x" + tag.toString(16));
  return e;
}

/** The SubjectPublicKeyInfo in a certificate. Nothing else of it is judged. */
export function certificateKey(der) {
  const certificate = derOf(der, SEQUENCE);
  if (certificate.rest.length > 0) throw new Fault("certificate: bytes after it");
  let body = derOf(certificate.content, SEQUENCE).content;
  if (body.length > 0 && body[0] === VERSION) body = derOf(body, VERSION).rest;
  for (const tag of [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE]) body = derOf(body, tag).rest;
  const key = derElement(body);
  if (key.tag !== SEQUENCE) throw new Fault("certificate: tag 0x" + key.tag.toString(16) + " for the public key");
  checkAfterKey(key.rest);
  return key.whole;
}

/** The same, of a run opened or resumed: it is that of the key in the entry's own batch head. */
export function producerKey(der, fingerprint) {
  const spki = certificateKey(der);
  if (!equal(sha256(spki), fingerprint)) throw new Fault("certificate: of another key than that of the batch head");
  return spki;
}

function checkAfterKey(body) {
  while (body.length > 0) {
    const e = derElement(body);
    if (e.tag === EXTENSIONS) {
      if (e.rest.length > 0) throw new Fault("certificate: bytes after the extensions");
      let list = null;
      try {
        list = derOf(e.content, SEQUENCE);
      } catch { /* said below */ }
      if (list === null || list.rest.length > 0) throw new Fault("certificate: malformed extensions");
    } else if (e.tag !== ISSUER_ID && e.tag !== SUBJECT_ID) {
      throw new Fault("certificate: tag 0x" + e.tag.toString(16) + " after the public key");
    }
    body = e.rest;
  }
}

function after(b, prefix, n) {
  return b.length === prefix.length + n && equal(b.subarray(0, prefix.length), prefix) ? b.subarray(prefix.length) : null;
}

/** Checks a producer's signature of a heartbeat or an end under its SubjectPublicKeyInfo. Throws. */
export function checkRunSignature(spki, message, signature) {
  const ed = after(spki, spkiEd25519, 32), point = after(spki, spkiP256, 65);
  if (ed !== null) {
    if (!ed25519Verify(ed, message, signature)) throw new Fault("signature does not verify");
  } else if (point !== null) {
    if (!p256CheckKey(point)) throw new Fault("public key: crypto/ecdsa: invalid public key");
    if (!p256Verify(point, sha256(message), signature)) throw new Fault("signature does not verify");
  } else {
    throw new Fault("public key is neither Ed25519 nor ECDSA on P-256");
  }
}
