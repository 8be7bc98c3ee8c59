// Tells by its first bytes what a file is that a person dropped on the page.

/** Most bytes of a file that inputKind looks at. */
export const INPUT_HEAD = 4096;

/** Most bytes of a policy, a key or a checkpoint: that of a signed note. */
export const INPUT_TEXT_LIMIT = 1 << 20;

/**
 * What a file seems to be. It only finds the box that the file belongs in: what the
 * box holds is parsed strictly later.
 * @param {Uint8Array} head its first bytes, at most INPUT_HEAD
 * @returns {"bundle"|"encrypted"|"policy"|"key"|"checkpoint"|"proof"|"unknown"}
 */
export function inputKind(head) {
  const text = new TextDecoder("utf-8").decode(head);
  if (text.startsWith("PK\u0003\u0004")) return "bundle";
  if (text.startsWith("age-encryption.org/") || text.startsWith("-----BEGIN AGE ENCRYPTED FILE-----")) return "encrypted";
  if (/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\s*$/.test(text)) return "key";
  if (/\n\n\u2014 /.test(text) && /^[^\n]+\n[0-9]+\n/.test(text)) return "checkpoint";
  if (/^([A-Za-z0-9+/]{43}=\n)+[A-Za-z0-9+/=]{0,44}$/.test(text)) return "proof";
  if (/^[ \t]*(log|quorum|witness|group)[ \t]/m.test(text)) return "policy";
  if (/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,}$/.test(text)) return "key";
  return "unknown";
}

/**
 * The trust that a person typed, pasted or dropped, as checkBundle wants it: a policy,
 * or one log's key. Neither is checked here.
 * @param {string} text
 * @returns {{policy: string|null, key: string|null}}
 */
export function inputTrust(text) {
  const trimmed = text.trim();
  if (trimmed === "") return { policy: null, key: null };
  if (!/\s/.test(trimmed)) return { policy: null, key: trimmed };
  return { policy: text.endsWith("\n") ? text : text + "\n", key: null };
}

/** A number of bytes for people: 999 B, 1.2 MB. */
export function sizeText(bytes) {
  let size = Number(bytes), unit = 0;
  const units = ["B", "kB", "MB", "GB"];
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
