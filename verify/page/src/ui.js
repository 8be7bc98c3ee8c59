// The page at work: it takes files, checks them, and shows the verdict.

import { byId } from "./uiparts.js";
import { Inputs, inputOptions } from "./uiinputs.js";
import { showResult } from "./uiresult.js";
import { checkBundle } from "./check.js";

/** What the check does, as people read it. */
const PROGRESS_WORDS = { reading: "Reading every byte", checking: "Checking what the bytes prove" };

/** Thrown where a person stops a check. */
class Stopped extends Error {}

/** One check from its start to its verdict. */
class Run {
  /** @param {object} inputs a snapshot of Inputs */
  constructor(inputs) {
    this.inputs = inputs;
    this.stopped = false;
    this.heard = -1;
  }

  /** Lets the page breathe: it stays alive and can be stopped. */
  async pause() {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (this.stopped) throw new Stopped("stopped");
  }

  progress(done, total, what) {
    const part = total > 0 ? Number(done) / Number(total) : 0;
    byId("progress-bar").value = Math.floor(part * 1000);
    byId("progress-text").textContent = `${PROGRESS_WORDS[what] ?? what}: ${Math.floor(part * 100)} %`;
    const tenth = Math.floor(part * 10);
    if (tenth > this.heard) {
      this.heard = tenth;
      byId("progress-said").textContent = `${tenth * 10} percent checked`;
    }
  }

  /** Checks; returns null where a person stopped it. */
  async check() {
    try {
      return await checkBundle(this.inputs.bundle, {
        ...inputOptions(this.inputs),
        onProgress: (done, total, what) => this.progress(done, total, what),
        pause: () => this.pause(),
      });
    } catch (cause) {
      if (cause instanceof Stopped || this.stopped) return null;
      const unread = cause instanceof DOMException;
      const reason = unread ? "the browser could not read the files to their end. Were they changed or moved meanwhile?" : "this page is at fault itself. Ask daybook-verify instead.";
      return { Code: 2, Verdict: "NOT CHECKED", Claims: [], Reason: `${reason} (${cause.name}: ${cause.message})` };
    }
  }
}

async function startCheck(state) {
  if (state.run !== null) return;
  if (state.inputs.bundle.length === 0) {
    byId("file-bundle").focus();
    return;
  }
  const run = new Run(state.inputs.snapshot());
  state.run = run;
  clearResult();
  byId("inputs").hidden = true;
  byId("progress").hidden = false;
  run.progress(0, 0, "reading");
  byId("cancel").focus();
  const result = await run.check();
  state.run = null;
  byId("progress").hidden = true;
  if (result === null) {
    showInputs(state);
    return;
  }
  showResult(result, run.inputs, () => showInputs(state));
}

function clearResult() {
  byId("verdict").hidden = true;
  byId("verdict").replaceChildren();
  byId("result").hidden = true;
  byId("result").replaceChildren();
  document.title = "Check an examination file";
}

function showInputs(state) {
  clearResult();
  byId("inputs").hidden = false;
  state.inputs.show();
  byId("inputs").focus();
}

function showReady(inputs) {
  const parts = inputs.bundle.length;
  byId("check").setAttribute("aria-disabled", String(parts === 0));
  let hint = "Choose the examination file first.";
  if (parts > 0 && inputs.trust === null) hint = "Without a policy or key from outside the best answer is SELF-CONSISTENT.";
  else if (parts > 0) hint = parts === 1 ? "Ready." : `Ready: ${parts} parts.`;
  byId("check-hint").textContent = hint;
}

/** Starts the page. */
export function startUI() {
  const state = { inputs: null, run: null };
  state.inputs = new Inputs(() => {
    if (state.inputs === null) return;
    if (state.run === null && !byId("verdict").hidden) clearResult();
    if (state.run === null) byId("inputs").hidden = false;
    showReady(state.inputs);
  });
  byId("check").addEventListener("click", () => startCheck(state));
  byId("cancel").addEventListener("click", () => {
    if (state.run) state.run.stopped = true;
  });
  showReady(state.inputs);
}
