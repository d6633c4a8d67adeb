// @ts-check
/** Marks in an answer that cite a passage, `[1]`, `[2, 3]` or `[^1]`, and the passages below it. */

import { arrange, make } from "./dom.js";
import { render } from "./markdown.js";

/** As flowground/core/citations.py reads it. */
const CITED = /\[\^?(\d{1,4}(?:[,;] ?\^?\d{1,4}){0,20})\](?!\()/g;

/** @typedef {{number: number, text: string, source: string, page?: number, title?: string}} Passage */

export class Sources {
  constructor() {
    /** @type {Map<number, Passage>} */
    this.passages = new Map();
    /** @type {Map<number, Passage>} */
    this.others = new Map();
    this.items = new Map();
    this.head = make("summary");
    this.fold = make("details", { class: "fg-others" }, this.head);
    this.element = make("div", { class: "fg-sources", role: "group", "aria-label": "Sources" }, this.fold);
    this.settle();
  }

  /** Shows these and no others, folded those that are not cited; whether a mark that is drawn already means the same. */
  show(passages = [], others = []) {
    const isSame = passages.length === this.passages.size && passages.every(({ number }) => this.passages.has(number));
    if (!isSame) this.items.clear();
    this.passages.clear();
    this.others.clear();
    this.add(passages);
    this.look(others);
    return isSame;
  }

  add(passages) {
    for (const passage of passages) this.passages.set(passage.number, passage);
    this.settle();
  }

  /** What was looked up besides: folded, in the order in which it comes. */
  look(passages) {
    for (const passage of passages) this.others.set(passage.number, passage);
    this.settle();
  }

  settle() {
    const cited = [...this.passages.values()].sort((one, other) => one.number - other.number);
    const left = [...this.others.values()].filter(({ number }) => !this.passages.has(number));
    arrange(this.element, [...cited.map((passage) => this.findItem(passage)), this.fold]);
    arrange(this.fold, [this.head, ...left.map((passage) => this.findItem(passage))]);
    this.head.textContent = `${left.length} ${cited.length ? "more " : ""}source${left.length === 1 ? "" : "s"}`;
    this.fold.hidden = left.length === 0;
    this.element.hidden = cited.length + left.length === 0;
  }

  findItem(passage) {
    const item = this.items.get(passage.number) ?? this.drawItem(passage);
    this.items.set(passage.number, item);
    return item;
  }

  /** The text in parts, each number that is a passage as a button that opens it. */
  mark(text) {
    let at = 0;
    const parts = [];
    for (const found of this.passages.size ? text.matchAll(CITED) : []) {
      const numbers = found[1].match(/\d+/g).map(Number);
      if (!numbers.some((number) => this.passages.has(number))) continue;
      parts.push(text.slice(at, found.index), ...numbers.map((number) => (this.passages.has(number) ? this.drawMark(number) : `[${number}]`)));
      at = found.index + found[0].length;
    }
    return [...parts, text.slice(at)];
  }

  drawMark(number) {
    const label = `Source ${number}: ${namePlace(this.passages.get(number))}`;
    return make("button", { class: "fg-cite", type: "button", "aria-label": label, click: ({ currentTarget }) => this.open(number, currentTarget) }, String(number));
  }

  drawItem(passage) {
    const { number, source, page, title } = passage;
    const host = findHost(source), path = host || source.split("/").slice(-2).join("/");
    const where = [title ? path : "", page === undefined ? "" : `page ${page}`].filter(Boolean).join(" · ");
    const name = make("span", { class: "fg-source", dir: "auto" }, title || (host ? source : path));
    const head = make("summary", { title: namePlace(passage) }, make("span", { class: "fg-number" }, String(number)), name, make("span", { class: "fg-where" }, where));
    const leave = (event) => {
      if (event.key !== "Escape" || !item.from?.isConnected) return;
      event.preventDefault();
      event.stopPropagation();
      item.open = false;
      item.from.focus();
    };
    const item = make("details", { toggle: () => this.fill(item, passage), keydown: leave }, head);
    return item;
  }

  /** The text of a passage is drawn when it is opened first. */
  fill(item, { source, text }) {
    if (!item.open || item.querySelector(".fg-passage")) return;
    const body = make("div", { class: "fg-passage", dir: "auto", tabindex: "0" });
    const host = findHost(source);
    if (host) item.append(make("a", { class: "fg-address", href: source, target: "_blank", rel: "noreferrer noopener", dir: "ltr" }, source));
    item.append(body);
    if (/\.(md|markdown)$/i.test(source)) render(body, text);
    else if (host || /\.(html?|docx)$/i.test(source)) body.append(...drawHeadings(text));
    else body.textContent = text;
  }

  open(number, mark) {
    const item = this.items.get(number);
    item.from = mark;
    item.open = true;
    this.fill(item, this.passages.get(number));
    item.scrollIntoView?.({ block: "nearest" });
    item.querySelector("summary").focus({ preventScroll: true });
  }
}

/** Headings of a page or document, which its text writes as Markdown does; all else of it is no Markdown. */
const drawHeadings = (text) => text.split(/^(#{1,6} .*)$/m).map((part, at) => (at % 2 ? make("strong", {}, part.replace(/^#+ /, "")) : part));

/** Whose page of the web a passage is of; "" for one of a file, whose path never begins so. */
const findHost = (source) => (/^https?:\/\//i.test(source) && URL.canParse(source) ? new URL(source).host : "");

/** @param {Passage} passage */
const namePlace = ({ source, page }) => (page === undefined ? source : `${source}, page ${page}`);
