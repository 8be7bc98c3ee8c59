// The fixed texts of the derived members, ready to use.

import { TEXTS } from "./texts.js";
import { parseTemplate } from "./reporttemplate.js";

let reportWordsRead = null;

/**
 * The fixed texts: tables by name, verdicts and lists in their order, the groups of
 * verdicts, and the templates.
 */
export function reportWords() {
  reportWordsRead ??= readReportWords();
  return reportWordsRead;
}

function readReportWords() {
  const words = JSON.parse(TEXTS["words.json"]);
  const tables = new Map(words.tables.map((t) => [t.name, { ...t, template: parseTemplate(t.sentence) }]));
  const picks = new Map(Object.entries(words.picks).map(([name, texts]) =>
    [name, new Map(Object.entries(texts).map(([key, text]) => [key, parseTemplate(text)]))]));
  return {
    tables,
    picks,
    verdicts: words.verdicts,
    lists: words.lists,
    groups: new Map(words.verdicts.map((v) => [v.name, v.group])),
    report: parseTemplate(TEXTS["report.html"]),
    readme: parseTemplate(TEXTS["README.txt"]),
  };
}
