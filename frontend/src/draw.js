// @ts-check
/** Tokens to elements. Nothing of an answer is ever written as HTML: every letter of it becomes text. */

import { drawCode } from "./code.js";
import { make } from "./dom.js";
import { drawFormula, restore } from "./formulas.js";

/** The element of one block. `sources` are what it may cite; ids of its notes begin with `prefix`. */
export function draw(tokens, { sources, prefix }) {
  const drawing = new Drawing(sources, prefix);
  drawing.go(tokens);
  return drawing.top.firstElementChild;
}

class Drawing {
  constructor(sources, prefix) {
    this.sources = sources;
    this.prefix = prefix;
    this.top = make("div");
    this.places = [this.top];
  }

  get place() {
    return this.places[this.places.length - 1];
  }

  go(tokens) {
    for (const token of tokens) {
      if (token.type === "inline") this.goInto(token);
      else if (token.nesting < 0) this.places.pop();
      else if (token.nesting > 0) this.open(token);
      else this.place.append(...(DRAW[token.type]?.(token, this) ?? []));
    }
  }

  open(token) {
    const [element, inside = element] = OPEN[token.type]?.(token, this) ?? [make(token.tag)];
    if (this.places.length === 1 && !["HR", "DIV"].includes(element.tagName)) element.dir = "auto"; // each block by its own text
    this.place.append(element);
    this.places.push(inside);
  }

  /** Text of a block; in an item that begins with one, a box in its place. */
  goInto({ children }) {
    const { place } = this, item = place.parentElement, [first] = children;
    const box = item?.tagName === "LI" && item.firstElementChild === place && first?.type === "text" && /^\[([ xX])\] /.exec(first.content);
    if (box) {
      const isDone = box[1] !== " ";
      first.content = first.content.slice(4);
      item.className = "fg-task";
      place.append(make("input", { type: "checkbox", disabled: true, checked: isDone, "aria-label": isDone ? "Done" : "Not done" }));
    }
    this.go(children);
  }

  nameNote({ id }) {
    return `${this.prefix}${id + 1}`;
  }

  nameMark({ id, subId = 0 }) {
    return `${this.prefix}${id + 1}-from-${subId + 1}`;
  }

  write(text) {
    const restored = restore(text);
    return this.sources ? this.sources.mark(restored) : [restored];
  }
}

/** An element, and what is put into it where that is another. */
const OPEN = {
  paragraph_open: ({ hidden }, { place }) => {
    if (!hidden && place.tagName === "LI" && !place.id) place.parentElement.classList.add("fg-loose");
    return [make("p")];
  },
  ordered_list_open: (token) => [make("ol", { start: token.attrGet("start") })],
  table_open: () => {
    const table = make("table");
    return [make("div", { class: "fg-table fg-scroll", tabindex: "0", role: "group", "aria-label": "Table" }, table), table];
  },
  th_open: (token) => [make("th", { scope: "col", dir: "auto", class: findSide(token) })],
  td_open: (token) => [make("td", { dir: "auto", class: findSide(token) })],
  s_open: () => [make("del")],
  link_open: (token) => [make("a", { href: token.attrGet("href"), title: token.attrGet("title"), target: "_blank", rel: "noreferrer noopener" })],
  footnote_block_open: () => {
    const list = make("ol");
    return [make("div", { class: "fg-footnotes", role: "group", "aria-label": "Footnotes" }, list), list];
  },
  footnote_open: ({ meta }, drawing) => [make("li", { id: drawing.nameNote(meta), tabindex: "-1" })],
};

const DRAW = {
  text: ({ content }, drawing) => drawing.write(content),
  code_text: ({ content }) => [restore(content)],
  softbreak: () => [make("br", { class: "fg-soft" }), "\n"], // models write poems, letters and addresses so; styles hide it where it is none
  hardbreak: () => [make("br")],
  code_inline: ({ content }) => [make("code", {}, restore(content))],
  hr: () => [make("hr")],
  fence: ({ content, info }) => [keep(drawCode(restore(content).replace(/\n$/, ""), info.trim().split(/\s/)[0].slice(0, 40)))],
  code_block: ({ content }) => [keep(drawCode(restore(content).replace(/\n$/, ""), ""))],
  math: (token) => [keep(drawFormula(token))],
  image: (token) => [make("span", { class: "fg-image" }, restore(listLetters(token.children)).trim() || token.attrGet("src").slice(0, 40) || "Image")],
  footnote_ref: ({ meta }, drawing) => {
    const number = String(meta.id + 1);
    const jump = makeJump(drawing.nameNote(meta), number, { id: drawing.nameMark(meta), "aria-label": `Footnote ${number}` });
    return [make("sup", { class: "fg-reference" }, jump)];
  },
  footnote_anchor: ({ meta }, drawing) => (meta.subId ? [] : [" ", makeJump(drawing.nameMark(meta), "↩", { "aria-label": "Back to the text" })]),
};

/** No image is loaded: its address would tell another server what the model saw. Its text stands in its place. */
const listLetters = (children) => children.map(({ content, children: inner }) => (inner?.length ? listLetters(inner) : content)).join("");

/** What code in its colours, or a formula that is set, is known again by. */
const keep = (element) => Object.assign(element, { key: `${element.className} ${element.textContent}` });

const findSide = (token) => token.attrGet("style")?.replace("text-align:", "fg-");

/** The address of the page stays as it is: a new `#…` in it would be read as another page. */
function makeJump(target, text, given) {
  const jump = (event) => {
    event.preventDefault();
    const place = document.getElementById(target);
    place?.scrollIntoView({ block: "nearest" });
    place?.focus({ preventScroll: true });
  };
  return make("a", { class: "fg-jump", href: `#${target}`, click: jump, ...given }, text);
}
