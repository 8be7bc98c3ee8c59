// The templates that the derived texts of a bundle are made with.
//
//   {{name}}             the value, if it is text
//   {{#name}}...{{/name}} once for each scope of a list, with that scope; once with
//                        a scope; once where a text is not empty or a condition holds
//   {{^name}}...{{/name}} where {{#name}} would give nothing
//   {{>table name}}      the text that a table has under the value, else under "*"
//
// A name is looked up from the innermost scope outwards; a.b is b of a. A scope is
// a plain object or has a method lookup; a value is a string, a boolean, a list of
// scopes or a scope, and null or undefined is none.

import { Fault } from "./errors.js";

/** Reads a template into nodes. */
export function parseTemplate(source) {
  const reader = { rest: source };
  return templateNodes(reader, "");
}

/** Reads nodes up to the tag that closes a section, or to the end. */
function templateNodes(reader, section) {
  const nodes = [];
  for (;;) {
    const open = reader.rest.indexOf("{{");
    const before = open < 0 ? reader.rest : reader.rest.slice(0, open);
    if (before !== "") nodes.push({ op: "text", text: before });
    if (open < 0) {
      if (section !== "") throw new Fault(`template: section ${section} is not closed`);
      reader.rest = "";
      return nodes;
    }
    const shut = reader.rest.indexOf("}}", open);
    const tag = reader.rest.slice(open + 2, shut);
    if (shut < 0 || tag === "") throw new Fault("template: a tag is not closed");
    reader.rest = reader.rest.slice(shut + 2);
    const name = tag.slice(1);
    if (tag[0] === "/") {
      if (name !== section || section === "") throw new Fault(`template: ${tag} closes section ${section}`);
      return nodes;
    }
    if (tag[0] === "#" || tag[0] === "^") nodes.push({ op: tag[0], name, body: templateNodes(reader, name) });
    else if (tag[0] === ">") nodes.push({ op: ">", table: name.split(" ")[0], name: name.slice(name.indexOf(" ") + 1) });
    else nodes.push({ op: "value", name: tag });
  }
}

/** A value by its name, from the innermost of the scopes outwards. */
function templateFind(scopes, name) {
  const dot = name.indexOf(".");
  const first = dot < 0 ? name : name.slice(0, dot);
  for (let i = scopes.length - 1; i >= 0; i--) {
    const value = templateLookup(scopes[i], first);
    if (value === null || value === undefined) continue;
    if (dot < 0) return value;
    return isTemplateScope(value) ? templateFind([value], name.slice(dot + 1)) : null;
  }
  return null;
}

function templateLookup(scope, name) {
  if (typeof scope.lookup === "function") return scope.lookup(name);
  return Object.hasOwn(scope, name) ? scope[name] : null;
}

function isTemplateScope(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function templateTruth(value) {
  if (typeof value === "string") return value !== "";
  if (typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.length > 0;
  return value !== null && value !== undefined;
}

/** Writes templates. picks are the tables of {{>}}, their texts parsed. */
export class TemplateWriter {
  /**
   * @param {Map<string, Map<string, object[]>>} picks
   * @param {function(string): string} escape is applied to every value
   */
  constructor(picks, escape = (text) => text) {
    this.picks = picks;
    this.escape = escape;
  }

  /** The text of nodes under scopes, the innermost last. */
  write(nodes, scopes) {
    let out = "";
    for (const node of nodes) out += this.one(node, scopes);
    return out;
  }

  one(node, scopes) {
    if (node.op === "text") return node.text;
    const value = templateFind(scopes, node.name);
    switch (node.op) {
      case "value":
        return typeof value === "string" ? this.escape(value) : "";
      case ">":
        return this.write(this.pick(node.table, typeof value === "string" ? value : ""), scopes);
      case "^":
        return templateTruth(value) ? "" : this.write(node.body, scopes);
      default:
        return this.section(node, value, scopes);
    }
  }

  section(node, value, scopes) {
    if (Array.isArray(value)) return value.map((element) => this.write(node.body, [...scopes, element])).join("");
    if (isTemplateScope(value)) return this.write(node.body, [...scopes, value]);
    return templateTruth(value) ? this.write(node.body, scopes) : "";
  }

  pick(table, key) {
    const texts = this.picks.get(table);
    return texts?.get(key) ?? texts?.get("*") ?? [];
  }
}
