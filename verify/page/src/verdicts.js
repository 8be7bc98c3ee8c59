// What the page says of each verdict: what it means and what to do next.

/** By the code of checkBundle. Look is a class of the style sheet. */
const VERDICTS = [
  {
    Word: "VERIFIED", Sign: "✓", Look: "good",
    Means: "This file is what the log recorded. Nothing in it was altered, and nothing that the question asks for was left out.",
    Todo: [
      "Compare the words of the log’s key below with the key card, if you have not done so.",
      "Look at the five claims: one that is “not claimed” is not proved by this file.",
      "Then read the report. Keep the file and your policy: this check can be repeated at any time.",
    ],
  },
  {
    Word: "FAILED", Sign: "✗", Look: "bad",
    Means: "This file is not what it claims to be. Do not rely on anything in it.",
    Todo: [
      "Keep the file exactly as it is: it is evidence. Note where it failed and how it reached you.",
      "Make sure that what you brought belongs together: policy, key and checkpoint of this log, and parts of one answer. Else a good file fails.",
      "Ask for it again over another way: a copy can be damaged on its way. A damaged copy fails too.",
      "If the new copy fails as well, ask daybook-verify for a second opinion, and ask whoever gave you the file to explain.",
    ],
  },
  {
    Word: "NOT CHECKED", Sign: "?", Look: "other",
    Means: "What you brought could not be used, so nothing was checked.",
    Todo: ["Correct what is named here and check again."],
  },
  {
    Word: "SELF-CONSISTENT", Sign: "!", Look: "care",
    Means: "This file agrees with itself, but whoever made this file could have made all of it.",
    Todo: [
      "Get the log’s policy or key from outside: from the key card that was lodged with you, or from an auditor who holds it.",
      "Drop it into box 2 and check again.",
      "Do not take it from whoever handed you this file, nor from the words below: they come from the file itself.",
    ],
  },
  {
    Word: "VERIFIED WITH DECLARED GAPS", Sign: "✓", Look: "gaps",
    Means: "This file is what the log recorded, and nothing in it was altered or left out. But the log itself says that reports are missing.",
    Todo: [
      "Read in the report which producers were silent or declared numbers lost, and when.",
      "Ask the firm for the reason of each gap: no log can show what was never reported to it.",
      "Compare the words of the log’s key below with the key card, if you have not done so.",
    ],
  },
  {
    Word: "NEEDS A NEWER VERIFIER", Sign: "?", Look: "other",
    Means: "This page is too old for this file. That is no failure: the file uses something that this page does not know.",
    Todo: [
      "Get a newer verify.html or daybook-verify, and compare its SHA-256 with a newer key card.",
      "Until then nothing is proved: do not rely on the file.",
    ],
  },
];

/**
 * What to say of a result. Open says in the same breath as the word what is not claimed.
 * @param {{Code: number}} result of checkBundle
 * @returns {{Word: string, Open: string, Sign: string, Look: string, Means: string, Todo: string[]}}
 */
export function verdictView(result) {
  const view = { Open: "", ...(VERDICTS[result.Code] ?? VERDICTS[2]) };
  if (![0, 3, 4].includes(result.Code)) return view;
  const open = (result.Claims ?? []).filter((c) => c.State === "not claimed").map((c) => c.Name);
  if (open.length > 0) view.Open = "not claimed: " + open.join(", ");
  if (!open.includes("complete as accepted") || result.Code === 3) return view;
  const more = result.Code === 4 ? " And the log itself says that reports are missing." : "";
  view.Means = "This file is what the log recorded, and nothing in it was altered. But it does not show all that the question asks for: see “complete as accepted” below." + more;
  return view;
}

/** The word of a verdict and what it leaves open, in one line. */
export function verdictLine(view) {
  return view.Open === "" ? view.Word : view.Word + "; " + view.Open;
}

/** What each claim says, by its name, with what is asked and what it does not say. */
const CLAIM_QUESTIONS = new Map([
  ["unaltered", "Is every byte what the log recorded?"],
  ["complete as accepted", "Is everything here that the log accepted and the question asks for?"],
  ["complete as numbered", "Did the log accept everything that the producers sent?"],
  ["authorized", "Is each access judged as the maps and approvals in force say?"],
  ["countersigned", "Have outsiders signed that the log was never rewritten?"],
]);

/** The question that a claim answers. */
export function claimQuestion(name) {
  return CLAIM_QUESTIONS.get(name) ?? "";
}

/**
 * How a claim's state is shown: a class of the style sheet, and a sign and words that
 * need no colour. Under the keys of the file itself nothing is proved to anybody.
 * @param {string} state
 * @param {number} code of the verdict
 */
export function stateView(state, code = 0) {
  switch (state) {
    case "proved": return code === 3 ? { Look: "not", Text: "if the keys are real" } : { Look: "proved", Text: "✓ proved" };
    case "failed": return { Look: "failed", Text: "✗ FAILED" };
    case "not claimed": return { Look: "not", Text: "– not claimed" };
    default: return { Look: "unknown", Text: "? " + state };
  }
}

/** Time of a whole Unix second: 2026-11-26T02:55:00Z. */
export function unixText(seconds) {
  const at = new Date(Number(seconds) * 1000);
  return Number.isNaN(at.getTime()) ? `second ${seconds} of Unix time` : at.toISOString().replace(".000Z", "Z");
}

/**
 * A result as plain text, for the files of whoever checked.
 * @param {object} result of checkBundle
 * @param {string} names of the files
 * @param {string} trusted what was trusted
 * @returns {string}
 */
export function resultText(result, names, trusted) {
  const view = verdictView(result);
  const lines = [verdictLine(view), view.Means, "", `File: ${names}`, `Trusted: ${trusted}`];
  for (const part of result.Parts ?? []) lines.push(`Manifest of ${part.Name}: SHA-256 ${part.ManifestSHA256}`);
  if (result.Reason) lines.push(`Reason: ${result.Reason}`);
  if (result.Member) lines.push(`Member: ${result.Member}`);
  if (result.FirstBadIndex !== undefined && result.FirstBadIndex !== null) lines.push(`Entry: ${result.FirstBadIndex}`);
  const opened = result.Opened;
  if (opened) {
    lines.push(`Log: ${opened.Origin}, ${opened.Size} entries`);
    for (const w of opened.Witnesses ?? []) lines.push(`Cosigned by ${w.Name} at ${unixText(w.Unix)}`);
  }
  for (const u of result.Report?.Head?.Unknown ?? []) lines.push(`CAUTION: ${u.Text}`);
  if (result.Zone) lines.push(`CAUTION: ${result.Zone}`);
  if (result.Held) lines.push(`Held checkpoint: ${result.Held}`);
  lines.push("");
  for (const claim of result.Claims ?? []) lines.push(`${claim.Name}: ${stateView(claim.State, result.Code).Text}. ${claim.Detail}`);
  return lines.join("\n") + "\n";
}
