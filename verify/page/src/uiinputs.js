// The three boxes: what a person chose, dropped or typed.

import { byId, el } from "./uiparts.js";
import { INPUT_HEAD, INPUT_TEXT_LIMIT, inputKind, inputTrust, sizeText } from "./inputs.js";

const BOXES = ["bundle", "trust", "checkpoint"];

/** What the boxes hold, and their elements. */
export class Inputs {
  /** @param {function()} changed is called whenever the boxes hold something else */
  constructor(changed) {
    this.changed = changed;
    this.bundle = []; // files
    this.trust = null; // {name, text}
    this.checkpoint = null; // {name, bytes}
    this.proof = null; // {name, bytes}: of consistency between the checkpoint held and that of the file
    for (const box of BOXES) {
      const chooser = byId("file-" + box);
      chooser.addEventListener("change", () => {
        const files = [...chooser.files];
        chooser.value = ""; // so that the same file can be chosen again
        this.take(files, box);
      });
      this.dropOn(byId("box-" + box), box);
    }
    this.dropOn(document.documentElement, null);
    byId("text-trust").addEventListener("input", () => this.typed("trust"));
    byId("text-checkpoint").addEventListener("input", () => this.typed("checkpoint"));
  }

  /** Takes files that are dropped on an element; without a box each finds its own. */
  dropOn(element, box) {
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("over");
    });
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      for (const over of document.querySelectorAll(".over")) over.classList.remove("over");
      this.take([...event.dataTransfer.files], event.dataTransfer.files.length > 1 ? null : box);
    });
  }

  /** Puts files into their boxes. What a file seems to be goes before the box it was put on. */
  async take(files, box) {
    this.fault("");
    for (const file of files) {
      try {
        await this.takeOne(file, box);
      } catch (cause) {
        this.fault(`${file.name} cannot be read: ${cause.message}`);
      }
    }
    this.show();
  }

  async takeOne(file, box) {
    const head = new Uint8Array(await file.slice(0, INPUT_HEAD).arrayBuffer());
    const kind = inputKind(head);
    if (kind === "encrypted") {
      this.fault(`${file.name} is encrypted: open it first, with age --decrypt -i KEYFILE -o CASE.zip ${file.name}`);
      return;
    }
    const guess = { bundle: "bundle", policy: "trust", key: "trust", checkpoint: "checkpoint", proof: "proof" }[kind];
    const to = guess ?? box ?? (/\.zip$/i.test(file.name) ? "bundle" : null);
    if (to === null) {
      this.fault(`${file.name} is neither an examination file, nor a policy, a key, a checkpoint or a proof. If it is one of them, choose it in its box.`);
    } else if (to === "bundle") {
      this.bundle = this.bundle.filter((f) => f.name !== file.name).concat(file);
      this.bundle.sort((a, b) => (a.name < b.name ? -1 : 1));
    } else {
      await this.takeText(file, to);
    }
  }

  async takeText(file, box) {
    if (file.size > INPUT_TEXT_LIMIT) {
      this.fault(`${file.name} has ${sizeText(file.size)}: too large for a ${box === "trust" ? "policy or key" : box}.`);
      return;
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (box === "proof") {
      this.proof = { name: file.name, bytes };
      return;
    }
    byId("text-" + box).value = "";
    if (box === "checkpoint") this.checkpoint = { name: file.name, bytes };
    else this.trust = { name: file.name, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  }

  /** Takes what stands in a box's text area. */
  typed(box) {
    const text = byId("text-" + box).value;
    const empty = text.trim() === "";
    if (box === "trust") this.trust = empty ? null : { name: "typed in", text };
    else this.checkpoint = empty ? null : { name: "typed in", bytes: new TextEncoder().encode(text.replace(/\n*$/, "\n")) };
    this.show();
  }

  /** Shows what the boxes hold. */
  show() {
    this.list("bundle", this.bundle.map((f) => [`${f.name}, ${sizeText(f.size)}`, () => {
      this.bundle = this.bundle.filter((other) => other !== f);
    }]));
    this.list("trust", this.trust ? [[this.trust.name, () => {
      this.trust = null;
      byId("text-trust").value = "";
    }]] : []);
    const held = [];
    if (this.checkpoint) held.push([this.checkpoint.name, () => {
      this.checkpoint = null;
      byId("text-checkpoint").value = "";
    }]);
    if (this.proof) held.push([this.proof.name + ", a proof", () => {
      this.proof = null;
    }]);
    this.list("checkpoint", held);
    this.changed();
  }

  list(box, items) {
    byId("box-" + box).classList.toggle("full", items.length > 0);
    byId("held-" + box).replaceChildren(...items.map(([text, remove]) => el("li", {}, text + " ",
      el("button", { type: "button", class: "small", "aria-label": "Remove " + text, click: () => {
        remove();
        this.show();
        byId("file-" + box).focus();
      } }, "remove"))));
  }

  /** Says what is wrong with what was brought. */
  fault(text) {
    byId("input-fault").textContent = text;
    byId("input-fault").hidden = text === "";
  }

  /** What the boxes hold now: it stays as it is, whatever is dropped during a check. */
  snapshot() {
    const { trust, checkpoint, proof } = this;
    return Object.freeze({ bundle: Object.freeze([...this.bundle]), trust, checkpoint, proof });
  }
}

/** What a person brought from outside, as checkBundle takes it. */
export function inputOptions(inputs) {
  const trust = inputTrust(inputs.trust?.text ?? "");
  return { policy: trust.policy, key: trust.key, checkpoint: inputs.checkpoint?.bytes ?? null, proof: inputs.proof?.bytes ?? null };
}
