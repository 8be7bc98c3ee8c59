// Shows a result: the verdict, what it rests on, and the report.

import { byId, el, pairs, panel, saveButton, table } from "./uiparts.js";
import { sizeText } from "./inputs.js";
import { inputOptions } from "./uiinputs.js";
import { claimQuestion, resultText, stateView, unixText, verdictLine, verdictView } from "./verdicts.js";
import { countLines, questionLines } from "./reportlines.js";
import { fingerprintWords, policyKeys } from "./fingerprint.js";
import { hex, utf8 } from "./bytes.js";
import { base64 } from "./base64.js";
import { sha256 } from "./sha256.js";

/** Codes of verdicts that rest on claims; those that show what is in the file; and FAILED. */
const SHOWN_CODES = [0, 3, 4];
/** Most producers that are named. */
const MAX_LOSSES = 20;
const CLAIM_CODES = [...SHOWN_CODES, 1];

/**
 * Shows a result of checkBundle.
 * @param {object} result
 * @param {object} inputs what was checked: a snapshot of Inputs
 * @param {function()} again goes back to the files
 */
export function showResult(result, inputs, again) {
  const view = verdictView(result);
  document.title = `${verdictLine(view)}: ${inputs.bundle.map((f) => f.name).join(", ")}`;
  const heading = el("h2", { tabindex: "-1" }, el("span", { class: "sign", "aria-hidden": "true" }, view.Sign), el("span", {}, view.Word, view.Open === "" ? null : el("small", {}, view.Open)));
  byId("verdict").replaceChildren(el("div", { class: "verdict " + view.Look }, heading,
    el("p", { class: "means" }, view.Means), ...notes(result, inputs), failure(result), whatWasChecked(result, inputs),
    el("h3", {}, "What to do now"), el("ol", {}, ...view.Todo.map((line) => el("li", {}, line))),
    actions(result, inputs, again)));
  byId("verdict").hidden = false;
  const sections = [claims(result), losses(result), signers(result), keys(result, inputs), question(result), counts(result), reportPanel(result, inputs)];
  byId("result").replaceChildren(...sections.filter((s) => s !== null));
  byId("result").hidden = false;
  heading.focus();
  byId("verdict").scrollIntoView();
}

/** What must not be overlooked beside the verdict. */
function notes(result, inputs) {
  if (!SHOWN_CODES.includes(result.Code)) return [];
  const head = result.Report?.Head, out = [];
  if (result.Opened?.Origin.startsWith("demo.invalid/")) {
    out.push("DEMO. This log is a demonstration: nothing in it happened.");
  }
  for (const u of head?.Unknown ?? []) out.push(`Caution: ${u.Text}.`);
  if (result.Zone) out.push(`Caution: ${result.Zone}.`);
  if (head?.Parts > inputs.bundle.length) {
    out.push(`This is part ${head.Part} of ${head.Parts}: it answers for entries ${head.First} up to, but not including, ${head.End}, and for nothing else. Drop all parts to check the whole answer.`);
  }
  return out.map((text) => el("p", { class: "care-note" }, text));
}

/** What the log says that producers did not report; several parts have it in their reports. */
function losses(result) {
  const list = result.Report?.Losses ?? [];
  if (list.length === 0 || !SHOWN_CODES.includes(result.Code)) return null;
  const named = list.slice(0, MAX_LOSSES).map((l) => [el("span", {}, l.Producer || "a producer that is not named", l.Asked ? el("strong", {}, ", of a domain that is asked for") : null), String(l.Gaps), String(l.Silences)]);
  const left = list.length - named.length;
  return panel("Reports that are missing" + ofPart(result.Report.Head),
    el("p", {}, "The log itself says so: what a producer lost, or did not send, could have been such an access, also where the answer has none of its."),
    table("Producers that did not report all", [["Producer"], ["Gaps in its numbers", "number"], ["Silences past its limit", "number"]], named),
    left > 0 ? el("p", {}, `${left} more producers are in the report.`) : null);
}

/** What failed and where; for other verdicts the reason, if there is one. */
function failure(result) {
  if (!result.Reason) return null;
  const where = [];
  if (result.Member) where.push(`member ${result.Member}`);
  if (result.FirstBadIndex !== undefined && result.FirstBadIndex !== null) where.push(`entry ${result.FirstBadIndex}`);
  return el("div", { class: result.Code === 1 ? "what" : "" },
    pairs([[result.Code === 1 ? "What" : "Why", result.Reason], ["Where", where.join(", ")]]));
}

/** The files, and what was trusted. */
function whatWasChecked(result, inputs) {
  const files = inputs.bundle.map((f) => `${f.name} (${sizeText(f.size)})`).join(", ");
  const sums = (result.Parts ?? []).filter((p) => p.ManifestSHA256);
  return pairs([
    ["File", files],
    ["Manifest", sums.length > 0 ? el("span", { class: "mono" }, "SHA-256 " + sums.map((p) => p.ManifestSHA256).join(", ")) : ""],
    ["Trusted", result.Code === 2 ? "" : trustedText(inputs)],
    ["Held checkpoint", result.Held || (inputs.checkpoint ? inputs.checkpoint.name : "")],
  ]);
}

/** What a person can do with the verdict. */
function actions(result, inputs, again) {
  const names = inputs.bundle.map((f) => f.name).join(", ");
  const save = saveButton(savedName(inputs, "verdict.txt"), "text/plain", utf8(resultText(result, names, trustedText(inputs))), "Save the verdict as text");
  const print = el("button", { type: "button", click: () => window.print() }, "Print");
  return el("div", { class: "actions" }, el("button", { type: "button", click: again }, "Check again or another file"), save, print);
}

/** What a person brought from outside to trust. */
function trustedText(inputs) {
  if (inputs.trust === null) return "nothing from outside: no policy and no key was given";
  return `${inputOptions(inputs).key === null ? "the policy" : "the key"} ${inputs.trust.name}`;
}

/** A name for what is saved, after the file that was checked. */
function savedName(inputs, name) {
  return `${inputs.bundle[0].name.replace(/\.zip$/i, "")}-${name}`;
}

/** The five claims; of a file that failed, those that failed. */
function claims(result) {
  if (!result.Claims || result.Claims.length === 0 || !CLAIM_CODES.includes(result.Code)) return null;
  let note = null;
  if (result.Code === 3) note = el("p", {}, "As the file alone shows them, under the policy in the file itself. They count for nothing until the keys are known to be the real ones.");
  if (result.Code === 1) note = el("p", {}, "Where one claim fails, the others count for nothing.");
  const shown = result.Claims.filter((c) => result.Code !== 1 || c.State === "failed");
  const rows = shown.map((c) => {
    const state = stateView(c.State, result.Code);
    const name = el("span", {}, el("strong", {}, c.Name), el("br", {}), el("span", { class: "soft" }, claimQuestion(c.Name)));
    return [name, el("span", { class: "state " + state.Look }, state.Text), c.Detail];
  });
  return panel(result.Code === 1 ? "What failed of the five claims" : "The five claims", note, table("The five claims, each with its state", [["Claim"], ["State"], ["In detail"]], rows));
}

/** The checkpoint, and who cosigned it when. */
function signers(result) {
  const o = result.Opened ?? result.Report?.Head?.Checkpoint;
  if (!o || !SHOWN_CODES.includes(result.Code)) return null;
  const trust = result.Code === 3 ? " These names stand in the file’s own policy: nobody outside vouches for them here." : "";
  const rows = (o.Witnesses ?? []).map((w) => [w.Name, unixText(w.Unix)]);
  const who = rows.length === 0 ? el("p", {}, "Nobody outside has signed this checkpoint: only the log’s own key has.")
    : table("Who cosigned, and when", [["Witness"], ["Signed at (UTC)"]], rows);
  return panel("The checkpoint and who signed it",
    pairs([["Log", o.Origin], ["Entries", String(o.Size)], ["Root", el("span", { class: "mono" }, base64(o.Root))]]),
    el("p", {}, "A witness signs a checkpoint only after proof that the log has kept all it had before." + trust), who);
}

/** The keys in words; the file's own ones only where there are no others, and said so. */
function keys(result, inputs) {
  const own = inputs.trust === null;
  const text = own ? result.OwnPolicy : inputs.trust.text;
  if (!text || result.Code === 2) return null;
  const intro = own
    ? "These keys come from the file itself, so they prove nothing. If the words are those on the key card, drop the card’s key into box 2 and check again."
    : "Compare each word with the key card: it is the card that you trust, not this page.";
  const list = policyKeys(text).map((k) => {
    const sum = sha256(utf8(k.VKey));
    return el("div", { class: "key" }, el("p", {}, el("strong", {}, `${k.Role} ${k.Name}`), keyName(k)),
      el("ol", { class: "words", "aria-label": `words of ${k.Role} ${k.Name}` }, ...fingerprintWords(sum).map((w) => el("li", {}, w))),
      el("p", { class: "soft mono" }, "SHA-256 " + hex(sum)));
  });
  return panel(own ? "The file’s own keys, in words" : "The keys that you trust, in words", el("p", {}, intro), ...list);
}

/** The name in a witness's key, where the policy calls it something else. */
function keyName(key) {
  const name = key.VKey.split("+")[0];
  return name === key.Name ? "" : ` ${name}`;
}

/** What was asked. */
function question(result) {
  const head = result.Report?.Head;
  return !head?.Question || !SHOWN_CODES.includes(result.Code) ? null : panel("The question", pairs(questionLines(head)));
}

/** How much there is in the file. */
function counts(result) {
  const summary = result.Report;
  if (!summary || summary.Answers === undefined || !SHOWN_CODES.includes(result.Code)) return null;
  const list = table("Counts", [["What"], ["How many", "number"]], countLines(summary));
  list.classList.add("numbers");
  return panel("In numbers" + ofPart(summary.Head), list);
}

/** Of which part something is, where there are several. */
function ofPart(head) {
  return head?.Parts > 1 ? `, part ${head.Part} of ${head.Parts}` : "";
}

/** The report as this page worded it itself: its bytes are those in the file. */
function reportPanel(result, inputs) {
  if (!result.ReportHTML || !SHOWN_CODES.includes(result.Code)) return null;
  const frame = el("iframe", { class: "report", title: "Report", sandbox: "" });
  frame.srcdoc = new TextDecoder().decode(result.ReportHTML);
  const save = saveButton(savedName(inputs, "report.html"), "text/html", result.ReportHTML, "Save the report");
  const head = result.Report?.Head;
  const others = head?.Parts > 1 ? " Each part has a report of its own: check another part alone to read it here." : "";
  const out = panel("The report" + ofPart(head), el("p", {}, "This page has written the report anew from the checked entries; the file’s own report.html is the same, byte for byte." + others),
    el("div", { class: "actions" }, save), frame);
  out.classList.add("report-panel");
  return out;
}
