// The ways in which a check ends early.

/** What is wrong with a bundle: the verdict is failed. */
export class Fault extends Error {
  /**
   * @param {string} message lower-case words
   * @param {{member?: string, index?: bigint, claim?: string}} where
   */
  constructor(message, where = {}) {
    super(message);
    this.name = "Fault";
    this.member = where.member ?? "";
    this.index = where.index ?? null;
    this.claim = where.claim ?? "";
  }
}

/** What a later format may have: never a verdict of failure. */
export class Newer extends Error {
  constructor(message) {
    super(message + ": needs a newer verifier");
    this.name = "Newer";
  }
}

/** What somebody brought cannot be checked as it is: no verdict on a file. */
export class Unusable extends Error {}

/** Runs fn and puts words before what it throws. */
export function saying(words, fn) {
  try {
    return fn();
  } catch (err) {
    throw worded(words, err);
  }
}

/** An error with words before its message, of the same kind. */
export function worded(words, err) {
  if (err instanceof Error) err.message = words + ": " + err.message;
  return err;
}
