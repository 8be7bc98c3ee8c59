// Prints what the page says of the zone of each question, one line each: node
// zones.mjs FILE, where FILE has a canonical question in JSON on each line.
import { readFileSync } from "node:fs";
import { parseQuestion } from "../src/question.js";
import { zoneCaution } from "../src/zone.js";

for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  if (line !== "") console.log(zoneCaution(parseQuestion(Buffer.from(JSON.parse(line))).Period));
}
