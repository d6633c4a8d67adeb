/** A tree to elements. Nothing is ever written as HTML: every letter of an answer becomes text. */

import { drawCode } from "./code.js";
import { drawFormula } from "./formula.js";
import { STAND_IN } from "./maths.js";

const DEEPEST = 60;
const SHOWN = 200;
const SAFE = /^(?:https?:\/\/|mailto:)/i;

/** One drawing of one parse: `definitions` by label, `messages`, what may be cited, the document to make elements in. */
export class Drawing {
  constructor({ document, lifted, definitions, messages, near, sources }) {
    Object.assign(this, { document, lifted, definitions, messages, near, sources });
    this.depth = 0;
  }

  make(tag, className, ...children) {
    const element = this.document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  /** The element of a block, or null for what is not seen where it stands. */
  draw(node) {
    if (this.depth > DEEPEST) return this.make("p", "", this.plain(node));
    this.depth += 1;
    try {
      return DRAW[node.type]?.(this, node) ?? null;
    } finally {
      this.depth -= 1;
    }
  }

  fill(element, nodes) {
    for (const node of nodes) {
      const drawn = node.type === "text" ? null : this.draw(node);
      if (drawn) element.append(drawn);
      else if (node.type === "text") this.write(element, node.value);
    }
    return element;
  }

  /** Text with its formulas, and its marks of passages. */
  write(element, text) {
    let at = 0;
    for (const found of text.matchAll(STAND_IN)) {
      const formula = this.lifted.found[found[1]];
      if (!formula) continue;
      const drawn = formula.isFormula ? drawFormula(this, formula) : this.make("span", "fg-letters", formula.source);
      this.append(element, text.slice(at, found.index));
      element.append(drawn);
      at = found.index + found[0].length;
    }
    if (at < text.length) this.append(element, text.slice(at));
  }

  /** A line's end is a break: models write poems, letters and addresses so. Styles hide it where it is none. */
  append(element, text) {
    text.split("\n").forEach((line, at) => {
      if (at) element.append(this.make("br", "fg-soft"), "\n");
      if (this.sources) this.sources.write(element, line);
      else element.append(line);
    });
  }

  /** The address that a named link means. */
  find(node) {
    return this.definitions.get(node.label ?? node.identifier)?.url ?? this.near?.get(node.identifier) ?? "";
  }

  /** The letters of a part that lies too deep to be drawn. */
  plain(node) {
    const waiting = [node], found = [];
    while (waiting.length) {
      const { value, children = [] } = waiting.pop();
      if (value !== undefined) found.push(this.lifted.restore(value));
      for (let at = children.length - 1; at >= 0; at--) waiting.push(children[at]);
    }
    return found.join(" ");
  }
}

/** A block takes its direction from its text; inside of a quote or list the whole of that does, and each line its own. */
const block = (tag) => (drawing, node) => {
  const element = drawing.make(tag);
  if (drawing.depth === 1) element.dir = "auto";
  return drawing.fill(element, node.children);
};
const inline = (tag) => (drawing, node) => drawing.fill(drawing.make(tag), node.children);

const DRAW = {
  paragraph: block("p"),
  heading: (drawing, node) => block(`h${node.depth}`)(drawing, node),
  blockquote: block("blockquote"),
  thematicBreak: (drawing) => drawing.make("hr"),
  list: drawList,
  listItem: drawItem,
  code: drawCode,
  table: drawTable,
  emphasis: inline("em"),
  strong: inline("strong"),
  delete: inline("del"),
  inlineCode: (drawing, node) => drawing.make("code", "", drawing.lifted.restore(node.value)),
  break: (drawing) => drawing.make("br"),
  html: (drawing, node) => drawing.document.createTextNode(drawing.lifted.restore(node.value)),
  link: (drawing, node) => (isBare(node) ? drawBare(drawing, node) : drawLink(drawing, node, node.url)),
  linkReference: (drawing, node) => drawLink(drawing, node, drawing.find(node)),
  image: (drawing, node) => drawImage(drawing, node, node.url),
  imageReference: (drawing, node) => drawImage(drawing, node, drawing.find(node)),
  footnoteReference: drawReference,
};

/** Whether it is an address without any mark, which GitHub's Markdown ends at the next space. */
function isBare({ url, children: [text, ...more], position }) {
  const [from, to] = [text?.position, position];
  return !more.length && /^https?:/.test(url) && from?.start.offset === to?.start.offset && from?.end.offset === to?.end.offset;
}

/** The addresses in such a text; what follows one without a space, as in JSON, is letters. */
function drawBare(drawing, node) {
  const drawn = drawing.document.createDocumentFragment();
  let [text, url] = [node.children[0].value, node.url];
  while (url) {
    const end = findEnd(text);
    const part = { type: "text", value: text.slice(0, end) };
    drawn.append(drawLink(drawing, { children: [part] }, url.slice(0, url.length - text.length + end)));
    const rest = text.slice(end);
    const next = rest.search(/https?:\/\/\w/);
    drawing.write(drawn, next < 0 ? rest : rest.slice(0, next));
    text = url = next < 0 ? "" : rest.slice(next);
  }
  return drawn;
}

/** Where an address has its end: at what none has, and before brackets and stops that only follow it. */
function findEnd(text) {
  const found = text.search(/["\\<>`]|'(?=[\s,;:\])}]|$)/);
  let end = 0, open = 0;
  for (const last = found < 0 ? text.length : found; end < last && open >= 0; end++) open += "{[".includes(text[end]) ? 1 : "]}".includes(text[end]) ? -1 : 0;
  return text.slice(0, open < 0 ? end - 1 : end).replace(/[,.;:!?]+$/, "").length;
}

/** A link to the web or to mail opens in a tab of its own; any other address is shown as letters. */
function drawLink(drawing, node, url) {
  const href = drawing.lifted.restore(url);
  if (!isAddress(href)) {
    const shown = href.length > SHOWN ? `${href.slice(0, 40)}…` : href;
    const element = drawing.fill(drawing.make("span"), node.children);
    element.prepend("[");
    element.append(`](${shown})`);
    return element;
  }
  const link = drawing.fill(drawing.make("a"), node.children);
  link.setAttribute("href", href);
  link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noreferrer noopener");
  if (node.title) link.title = drawing.lifted.restore(node.title);
  return link;
}

function isAddress(href) {
  if (!SAFE.test(href)) return false;
  try {
    return ["http:", "https:", "mailto:"].includes(new URL(href).protocol);
  } catch {
    return false;
  }
}

/** No image is loaded: its address would tell another server what the model saw. Its text stands in its place. */
function drawImage(drawing, node, url) {
  const text = drawing.lifted.restore(node.alt ?? "").trim() || drawing.lifted.restore(url).slice(0, 40) || drawing.messages.image;
  return drawing.make("span", "fg-image", text);
}

/** Items hold paragraphs in any case; `fg-loose` says whether they stand apart. */
function drawList(drawing, node) {
  const list = makeList(drawing, node);
  if (isLoose(node)) list.classList.add("fg-loose");
  for (const item of node.children) list.append(drawItem(drawing, item));
  return list;
}

export function makeList(drawing, node) {
  const list = drawing.make(node.ordered ? "ol" : "ul");
  if (drawing.depth <= 1) list.dir = "auto";
  if (node.ordered && node.start !== 1 && node.start !== null) list.setAttribute("start", String(node.start));
  return list;
}

export const isLoose = (list) => list.spread || list.children.some((item) => item.spread);

export function drawItem(drawing, node) {
  drawing.depth += 1;
  const item = drawing.fill(drawing.make("li"), node.children);
  drawing.depth -= 1;
  if (typeof node.checked === "boolean") {
    const box = drawing.make("input");
    box.setAttribute("type", "checkbox");
    box.setAttribute("disabled", "");
    if (node.checked) box.setAttribute("checked", "");
    box.setAttribute("aria-label", node.checked ? drawing.messages.done : drawing.messages.open);
    item.className = "fg-task";
    const first = item.firstElementChild;
    (first?.tagName === "P" ? first : item).prepend(box);
  }
  return item;
}

function drawTable(drawing, node) {
  const region = makeTable(drawing, node), body = region.querySelector("tbody");
  for (const row of node.children.slice(1)) body.append(drawRow(drawing, row, node.align));
  return region;
}

export function makeTable(drawing, node) {
  const head = drawing.make("thead", "", drawRow(drawing, node.children[0], node.align, "th"));
  const region = drawing.make("div", "fg-table fg-scroll", drawing.make("table", "", head, drawing.make("tbody")));
  region.setAttribute("tabindex", "0");
  region.setAttribute("role", "group");
  region.setAttribute("aria-label", drawing.messages.table);
  return region;
}

export function drawRow(drawing, node, align, tag = "td") {
  const row = drawing.make("tr");
  const cells = node.children.slice(0, align.length);
  for (let at = 0; at < align.length; at++) {
    const cell = drawing.make(tag);
    if (cells[at]) drawing.fill(cell, cells[at].children);
    cell.dir = "auto";
    if (align[at]) cell.className = `fg-${align[at]}`;
    if (tag === "th") cell.setAttribute("scope", "col");
    row.append(cell);
  }
  return row;
}

/** Number, target and name are written once all of the text is there (footnotes.js). */
function drawReference(drawing, node) {
  const mark = drawing.make("sup", "fg-reference");
  mark.dataset.label = node.identifier;
  return mark;
}
