/** What an answer explains elsewhere: addresses of named links, and notes. The first explanation of a name counts. */

import { Drawing } from "./draw.js";

const LABELS = /\[((?:\\.|[^[\]\\]){1,300})\]/g;
const DEEPEST = 60;

export class Definitions {
  constructor() {
    this._known = new Map();
    this.notes = new Map();
  }

  get(label) {
    return this._known.get(normalize(label));
  }

  learn({ node, lifted, kind, type }) {
    if (kind === "block" && type !== "definition" && type !== "footnoteDefinition" && type !== "blockquote") return;
    this._visit(node, { lifted, depth: 0 });
  }

  _visit(node, { lifted, depth }) {
    if (node.type === "definition") this._addAddress(node, lifted);
    else if (node.type === "footnoteDefinition") this._addNote(node, lifted);
    if (depth < DEEPEST) for (const child of node.children ?? []) if (child.children || child.type === "definition") this._visit(child, { lifted, depth: depth + 1 });
  }

  _addAddress(node, lifted) {
    const key = normalize(node.label ?? node.identifier);
    if (this._known.has(key)) return;
    const url = lifted.restore(node.url);
    const target = url.replace(/[<>\\\s]/g, (letter) => encodeURIComponent(letter));
    const title = node.title ? ` "${lifted.restore(node.title).replace(/["\\]/g, "\\$&").replace(/\s+/g, " ")}"` : "";
    this._known.set(key, { url, source: `[${lifted.restore(node.label ?? node.identifier)}]: <${target}>${title}\n\n` });
  }

  _addNote(node, lifted) {
    const name = node.label ?? node.identifier, key = normalize(`^${name}`);
    if (this._known.has(key)) return;
    this._known.set(key, { source: `[^${name}]: -\n\n` });
    this.notes.set(normalize(node.identifier), { node, lifted });
  }

  /** The explanations of the names in `text`, to be read before it. */
  write(text) {
    if (!this._known.size) return "";
    let written = "";
    for (const label of findLabels(text)) written += this._known.get(label)?.source ?? "";
    return written;
  }

  /** Whether `text` names something that nobody has explained yet. */
  mayMiss(text) {
    for (const label of findLabels(text)) if (!this._known.has(label)) return true;
    return false;
  }

  canSolve({ source }) {
    for (const label of findLabels(source)) if (this._known.has(label)) return true;
    return false;
  }

  drawNote(label, settings) {
    const { node, lifted } = this.notes.get(label);
    const drawing = new Drawing({ ...settings, lifted, definitions: this });
    return node.children.map((child) => drawing.draw(child)).filter(Boolean);
  }
}

const normalize = (label) => label.trim().replace(/\s+/g, " ").toLowerCase();

function findLabels(text) {
  const labels = new Set();
  if (text.includes("[")) for (const found of text.matchAll(LABELS)) labels.add(normalize(found[1]));
  return labels;
}
