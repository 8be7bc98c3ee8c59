// A version of the domain map, ready to judge by.

import { compareText, utf8 } from "./bytes.js";
import { SCHEMA } from "./data.js";
import { canonicalDomain, parseMapDocument } from "./entry.js";
import { Fault, Newer } from "./errors.js";

export const UNMAPPED = "?unmapped";

/** Lower case as Go's strings.ToLower has it: one character at a time. */
function lower(s) {
  let out = "";
  for (const c of s) out += c === "\u0130" ? "i" : c.toLowerCase();
  return out;
}

/** The ids that name no domain. */
export function reserved(id) {
  return id === "" || id[0] === "?" || id === "unknown" || id === "anonymous";
}

/** The action class of a flow's action; 0 for any other word. */
function actionClass(action) {
  if (lower(action) !== action) return 0;
  const n = SCHEMA.enums.ActionClass.findIndex((w) => w !== "" && w.replaceAll("-", "_").toUpperCase() === action.toUpperCase());
  return Math.max(0, n);
}

/** A flow that is ready to match. */
function readyFlow(f) {
  const ready = { flow: f, any: false, classes: new Set(), operations: [], prefixes: [] };
  for (const action of f.actions) {
    if (action === "any") ready.any = true;
    else if (action.startsWith("op:") && action.endsWith("*")) ready.prefixes.push(action.slice(3, -1));
    else if (action.startsWith("op:")) ready.operations.push(action.slice(3));
    else if (actionClass(action) !== 0) ready.classes.add(actionClass(action));
    else throw new Fault("domain map: flow " + JSON.stringify(f.id) + ": action " + JSON.stringify(action) + " is none");
  }
  if (f.actions.length === 0) throw new Fault("domain map: flow " + JSON.stringify(f.id) + " has no action");
  return ready;
}

/** Whether an access does what a ready flow is for. */
export function allows(ready, event) {
  if (ready.any || ready.classes.has(event.action?.class ?? 0)) return true;
  const operation = event.action?.operation ?? "";
  return ready.operations.includes(operation) || ready.prefixes.some((p) => operation.startsWith(p));
}

/** Immutable once it is made. */
export class DomainMap {
  /** by id, alias and DNS name, lower case: {domain, flows: Map of target id to ready flows} */
  #names = new Map();
  #flows = new Map();
  people = new Map(); // by id and identity

  /** @param {object} document a MapDocument */
  constructor(document) {
    this.document = document;
    if (document.format !== 1) throw new Newer("domain map: format " + document.format);
    this.#addDomains();
    this.#addPeople();
    for (const f of ascendingIds("flow", document.flows)) this.#addFlow(f);
    if (document.approver !== "" && !this.people.has(document.approver)) throw new Fault("domain map: its approver is nobody in people");
  }

  #addDomains() {
    for (const d of ascendingIds("domain", this.document.domains)) {
      if (canonicalDomain(utf8(d.id)) !== d.id) throw new Fault("domain map: domain id " + JSON.stringify(d.id) + " is malformed");
      if (reserved(d.id)) throw new Fault("domain map: domain id " + JSON.stringify(d.id) + " is reserved");
      const ready = { domain: d, flows: new Map() };
      for (const name of [d.id, ...d.aliases, ...d.dns]) {
        const key = lower(name), had = this.#names.get(key);
        if (key === "" || (had !== undefined && had !== ready)) {
          throw new Fault("domain map: name " + JSON.stringify(name) + " of domain " + JSON.stringify(d.id) + " is empty, or another domain's");
        }
        this.#names.set(key, ready);
      }
    }
  }

  #addPeople() {
    for (const p of ascendingIds("person", this.document.people)) {
      for (const name of [p.id, ...p.identities]) {
        const had = this.people.get(name);
        if (name === "" || (had !== undefined && had !== p)) {
          throw new Fault("domain map: identity " + JSON.stringify(name) + " of person " + JSON.stringify(p.id) + " is empty, or another person's");
        }
        this.people.set(name, p);
      }
    }
  }

  #addFlow(f) {
    if (this.domain(f.from) === null || this.domain(f.to) === null || f.from === f.to) {
      throw new Fault("domain map: flow " + JSON.stringify(f.id) + " does not join two domains");
    }
    if (this.people.get(f.approver)?.id !== f.approver) {
      throw new Fault("domain map: flow " + JSON.stringify(f.id) + ": its approver is nobody in people");
    }
    const flows = this.#names.get(f.from).flows;
    flows.set(f.to, [...(flows.get(f.to) ?? []), readyFlow(f)]);
    this.#flows.set(f.id, f);
  }

  /** The id of the domain that has a name, whatever the case, with a trailing dot or without. */
  resolve(name) {
    const cut = name.endsWith(".") ? name.slice(0, -1) : name;
    const ready = this.#names.get(cut) ?? this.#names.get(lower(cut));
    return ready === undefined ? UNMAPPED : ready.domain.id;
  }

  /** The domain with that id; null: none. */
  domain(id) {
    const ready = this.#names.get(id);
    return ready !== undefined && ready.domain.id === id ? ready.domain : null;
  }

  /** The flow with that id; null: none. */
  flow(id) {
    return this.#flows.get(id) ?? null;
  }

  /** The ready flows from one domain to another, ascending by id. */
  flowsOf(from, to) {
    return this.#names.get(from).flows.get(to) ?? [];
  }

  /** The id of the person who has an identity; the identity itself where it is nobody's. */
  person(identity) {
    return this.people.get(identity)?.id ?? identity;
  }

  /** Whether two identities are one person's. */
  same(a, b) {
    const p = this.people.get(a);
    return a === b || (p !== undefined && p === this.people.get(b));
  }
}

function ascendingIds(what, list) {
  let last = "";
  for (const v of list) {
    if (compareText(v.id, last) <= 0) throw new Fault("domain map: " + what + " " + JSON.stringify(v.id) + " is not after " + JSON.stringify(last));
    last = v.id;
  }
  return list;
}

/** Reads the bytes of a MapDocument and makes it ready. */
export function parseMap(b) {
  return new DomainMap(parseMapDocument(b));
}
