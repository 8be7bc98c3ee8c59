// Opens a file as the page does, and checks its zip: node zip64.mjs FILE.
import { open } from "node:fs/promises";
import { openArchive } from "../src/zip.js";

const file = await open(process.argv[2]);
const blob = {
  size: (await file.stat()).size,
  slice: (from, to) => ({
    arrayBuffer: async () => {
      const b = new Uint8Array(to - from);
      const { bytesRead } = await file.read(b, 0, b.length, from);
      return b.slice(0, bytesRead).buffer;
    },
  }),
};
const archive = await openArchive(blob);
let read = 0;
await archive.check((n) => {
  read += n;
});
console.log(archive.names.length + " members and the manifest, " + read + " bytes of them");
process.exit(0);
