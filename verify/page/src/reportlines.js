// A report in a few lines: what was asked, and how much of what there is.

import { TemplateWriter } from "./reporttemplate.js";
import { groupedNumber, humanTime, showText } from "./reporttext.js";
import { questionScope } from "./reportmodel.js";
import { sectionWord } from "./reportrows.js";
import { reportWords } from "./reportwords.js";

/**
 * What was asked, as pairs of a term and a text; texts may be empty.
 * @param {object} head report.Head
 * @returns {[string, string][]}
 */
export function questionLines(head) {
  const q = head.Question, p = q.Period, scope = questionScope(q);
  const say = (table, name) => new TemplateWriter(reportWords().picks).write(reportWords().picks.get(table)?.get(name) ?? [], [{}]);
  const lines = [
    ["Case", showText(q.Case ?? "")], ["Item", showText(q.Item ?? "")], ["Asked by", showText(q.AskedBy ?? "")],
    ["For", showText(q.Recipient ?? "")], ["Question", say("scope", scope)],
  ];
  if (scope === "accesses") lines.push(["From", selectorText(q.From)], ["To", selectorText(q.To)]);
  if (scope === "streams") lines.push(["Streams", q.Streams.map(showText).join("; ")]);
  if (scope === "range") lines.push(["Entries", `${q.Range.First} up to, but not including, ${q.Range.End}`]);
  if (p) {
    const bound = (text) => humanTime(text.replace(/Z$/, ".000000000Z"));
    lines.push(["Period", showText(`${p.Text}, ${p.Zone}, ${say("by", p.By)}`)], ["Period in UTC", `${bound(p.Start)} to ${bound(p.End)}`]);
  } else {
    lines.push(["Period", "since the log began"]);
  }
  if (head.Parts > 1) lines.push(["Part", `${head.Part} of ${head.Parts}: entries ${head.First} up to, but not including, ${head.End}`]);
  return lines;
}

/** A side of a question in words. */
function selectorText(selector) {
  const words = [["domain", selector?.Domain], ["tier", selector?.Tier], ["function", selector?.Function], ["owner", selector?.Owner]]
    .filter(([, value]) => value).map(([name, value]) => `${name} ${showText(value)}`);
  return words.length === 0 ? "any domain" : words.join(", ");
}

/**
 * How many there are, as pairs of a term and a number.
 * @param {object} summary report.Summary
 * @returns {[string, string][]}
 */
export function countLines(summary) {
  const lines = [["Accesses", groupedNumber(summary.Answers)]];
  const counted = (prefix, list) => {
    for (const { Name, Count } of list ?? []) lines.push([`${prefix}${Name}`, groupedNumber(Count)]);
  };
  counted("of these judged ", summary.Verdicts);
  (summary.Sections ?? []).forEach((count, section) => {
    if (Number(count) > 0) lines.push([`of these ${sectionWord(section)}`, groupedNumber(count)]);
  });
  counted("Alerts of type ", summary.Alerts);
  const runs = summary.Runs ?? [];
  lines.push(["Runs with these accesses", groupedNumber(runs.length)], ["of these proved to be without a hole", groupedNumber(runs.filter((r) => r.Proved).length)]);
  lines.push(["Approvals since the log began", groupedNumber((summary.Approvals ?? []).length)], ["Versions of the domain map", groupedNumber((summary.Maps ?? []).length)]);
  return lines;
}
