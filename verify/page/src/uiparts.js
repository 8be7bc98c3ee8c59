// Small pieces of the page. All text goes in as text: nothing of a file is ever
// read as markup, and characters that cannot be seen are written by their code points.

import { showText } from "./reporttext.js";

/**
 * A new element with attributes and children; children are elements or text.
 * An attribute that is a function is an event listener.
 */
export function el(tag, attributes, ...children) {
  const out = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") out.addEventListener(name, value);
    else if (value !== null && value !== undefined) out.setAttribute(name, value);
  }
  out.append(...children.filter((c) => c !== null && c !== undefined).map((c) => (typeof c === "string" ? showText(c) : c)));
  return out;
}

/** The element with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A panel with a heading. */
export function panel(title, ...children) {
  return el("section", { class: "panel" }, el("h2", {}, title), ...children);
}

/** A definition list of [term, text or element] pairs; pairs without text are left out. */
export function pairs(list) {
  const out = el("dl", {});
  for (const [term, value] of list) {
    if (value === null || value === undefined || value === "") continue;
    out.append(el("dt", {}, term), el("dd", {}, value));
  }
  return out;
}

/** A table with a caption for those who hear it; columns are [heading, class]. */
export function table(caption, columns, rows) {
  const head = el("tr", {}, ...columns.map(([name, look]) => el("th", { scope: "col", class: look }, name)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell, i) =>
    el(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: columns[i][1] }, cell))));
  return el("div", { class: "scroll" }, el("table", { class: "stack" },
    el("caption", { class: "hearing" }, caption), el("thead", {}, head), el("tbody", {}, ...body)));
}

/** A button that saves bytes as a file. */
export function saveButton(name, type, bytes, text) {
  return el("button", { type: "button", click: () => {
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } }, text);
}
