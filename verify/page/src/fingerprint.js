// A key's fingerprint in words, to be read out and compared with the key card.

import { WORD_LIST } from "./wordlist.js";

/**
 * The first 132 bits of a SHA-256 sum as twelve words: each 11 bits, most
 * significant first, are the place of a word in the list, from 0.
 * @param {Uint8Array} sum 32 bytes
 * @returns {string[]}
 */
export function fingerprintWords(sum) {
  const list = WORD_LIST.split(" ");
  const words = [];
  let held = 0, have = 0;
  for (const byte of sum) {
    held = (held << 8) | byte;
    have += 8;
    if (have < 11) continue;
    have -= 11;
    words.push(list[held >> have]);
    held &= (1 << have) - 1;
    if (words.length === 12) break;
  }
  return words;
}

/**
 * The verifier keys in the text of a policy, in its order; or the one key that the
 * text is. The text has been parsed strictly before, or is only shown.
 * @param {string} text
 * @returns {{Role: string, Name: string, VKey: string}[]}
 */
export function policyKeys(text) {
  const keys = [];
  for (const line of text.split("\n")) {
    const fields = line.split(/[ \t]+/).filter((f) => f !== "");
    const [first, second, third] = fields;
    if (first === "log" && fields.length >= 2) keys.push({ Role: "log", Name: second.split("+")[0], VKey: second });
    else if (first === "witness" && fields.length >= 3) keys.push({ Role: "witness", Name: second, VKey: third });
    else if (fields.length === 1 && /^[^#+]+\+[0-9a-f]{8}\+/.test(first)) keys.push({ Role: "log", Name: first.split("+")[0], VKey: first });
  }
  return keys;
}
