// One line of a table of data: a cell for each column, written as CSV, as JSON and
// as the scope of its sentence.

import { hex } from "./bytes.js";
import { bytesText, csvText, humanTime, jsonText, localText, phraseText, showText, utcText } from "./reporttext.js";

/** What stands for a value that its producer sealed. */
export const WITHHELD = "(withheld)";

/** Kinds of cells; one without a cell has no value. */
const CELL = Object.freeze({ text: 1, moment: 2, integer: 3, yes: 4, no: 5, sealed: 6 });

/** A row of a table: {name, columns: [{name, type, field, about}]}. */
export class ReportRow {
  /**
   * @param {object} table
   * @param {{From: number, Seconds: number}[]} offsets of the question's zone
   */
  constructor(table, offsets) {
    this.table = table;
    this.offsets = offsets;
    this.cells = new Map(); // by column name: {kind, text, json}
  }

  put(name, kind, text, json = "") {
    if (text !== "") this.cells.set(name, { kind, text, json });
  }

  text(name, value) {
    this.put(name, CELL.text, value ?? "");
  }

  bytes(name, value) {
    this.put(name, CELL.text, bytesText(value));
  }

  hex(name, value) {
    this.put(name, CELL.text, value ? hex(value) : "");
  }

  integer(name, value) {
    this.put(name, CELL.integer, String(value));
  }

  /** An integer that is absent where it is 0 or not there. */
  nonzero(name, value) {
    if (value !== null && value !== undefined && BigInt(value) !== 0n) this.integer(name, value);
  }

  flag(name, holds) {
    if (holds) this.put(name, CELL.yes, "yes", "true");
    else this.put(name, CELL.no, "no", "false");
  }

  /** A time, in the columns <name>_utc and <name>_local. */
  time(name, ns) {
    this.put(name + "_utc", CELL.moment, utcText(ns));
    this.put(name + "_local", CELL.moment, localText(ns, this.offsets));
  }

  /** A text whose form in JSON lines is another. */
  json(name, text, json) {
    this.cells.set(name, { kind: CELL.text, text, json });
  }

  /** A value that its producer sealed. */
  withhold(name) {
    this.cells.set(name, { kind: CELL.sealed, text: WITHHELD, json: "" });
  }

  /** The value of a column as its sentence has it. */
  lookup(name) {
    const cell = this.cells.get(name);
    if (cell === undefined) return null;
    switch (cell.kind) {
      case CELL.yes: return true;
      case CELL.no: return false;
      case CELL.moment: return humanTime(cell.text);
      case CELL.sealed: return this.isCondition(name) ? null : WITHHELD;
      default: return phraseText(cell.text);
    }
  }

  /** A condition that is sealed neither holds nor does not. */
  isCondition(name) {
    return this.table.columns.find((c) => c.name === name).type === "yes/no";
  }

  /** The row as a line of CSV. */
  csvLine() {
    const fields = this.table.columns.map(({ name }) => {
      const cell = this.cells.get(name);
      if (cell === undefined) return "";
      return cell.kind === CELL.sealed ? cell.text : csvText(showText(cell.text));
    });
    return fields.join(",") + "\r\n";
  }

  /** The row as a line of JSON. */
  jsonLine() {
    const fields = [];
    for (const { name } of this.table.columns) {
      const cell = this.cells.get(name);
      if (cell === undefined || cell.kind === CELL.sealed) continue;
      let value = cell.json;
      if (value === "") value = cell.kind === CELL.integer ? cell.text : jsonText(cell.text);
      fields.push(`"${name}":${value}`);
    }
    return `{${fields.join(",")}}\n`;
  }
}

/** The first line of a CSV: a byte order mark and the names of the columns. */
export function csvHeader(table) {
  return "\ufeff" + table.columns.map((c) => c.name).join(",") + "\r\n";
}
