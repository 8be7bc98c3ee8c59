// What the tests under node share.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const top = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

export const readJson = (...path) => JSON.parse(readFileSync(join(top, ...path), "utf8"));

let failed = 0, passed = 0;

export function ok(name, condition, why = "") {
  if (condition) return void passed++;
  failed++;
  console.log(`not ok ${name}: ${why}`);
}

/** Says whether fn throws. */
export function throws(fn) {
  try {
    fn();
    return null;
  } catch (err) {
    return err;
  }
}

process.on("exit", (code) => {
  console.log(`${passed} ok, ${failed} not ok`);
  if (code === 0 && (failed > 0 || passed === 0)) process.exitCode = 1;
});
