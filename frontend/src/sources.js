/** Marks in an answer that cite a passage, `[1]`, `[2, 3]` or `[^1]`, and the passages below it. */

import { WORDS } from "./words.js";

/** As flowground/citations.py reads it. */
const CITED = /\[\^?(\d{1,4}(?:[,;] ?\^?\d{1,4}){0,20})\](?!\()/g;

/** The passages of one answer: `{number, text, source, page, title}`. `draw(root, text)` draws the text of a Markdown file. */
export class Sources {
  constructor(document, { messages = WORDS, draw }) {
    Object.assign(this, { document, messages, draw, passages: new Map(), items: new Map(), others: new Map() });
    this.element = this._make("div", "fg-sources");
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", messages.sources);
    this.head = this._make("summary", "");
    this.fold = this._make("details", "fg-others", this.head);
    this.element.append(this.fold);
    this._settle();
  }

  /** Shows these and no others, folded those that are not cited; whether a mark that is drawn already means the same. */
  show(passages = [], others = []) {
    const isSame = this._showCited(passages);
    const numbers = others.map(({ number }) => number);
    for (const [number, item] of this.others) {
      if (numbers.includes(number)) continue;
      item.remove();
      this.others.delete(number);
    }
    this.look(others);
    return isSame;
  }

  _showCited(passages) {
    const isSame = passages.length === this.passages.size && passages.every(({ number }) => this.passages.has(number));
    if (!isSame) {
      this.passages.clear();
      for (const item of this.items.values()) item.remove();
      this.items.clear();
      this.add(passages);
    }
    return isSame;
  }

  add(passages) {
    for (const passage of passages) {
      if (this.passages.has(passage.number)) continue;
      this.passages.set(passage.number, passage);
      const item = this.others.get(passage.number) ?? this._drawItem(passage);
      this.others.delete(passage.number);
      const next = [...this.items].filter(([number]) => number > passage.number).sort(([one], [other]) => one - other)[0];
      this.element.insertBefore(item, next?.[1] ?? this.fold);
      this.items.set(passage.number, item);
    }
    this._settle();
  }

  /** What was looked up besides: folded, in the order in which it comes. */
  look(passages) {
    for (const passage of passages) {
      if (this.passages.has(passage.number) || this.others.has(passage.number)) continue;
      this.others.set(passage.number, this._drawItem(passage));
      this.fold.append(this.others.get(passage.number));
    }
    this._settle();
  }

  _settle() {
    const cited = this.items.size;
    const left = this.others.size;
    if (left) this.head.textContent = this.messages.others(left, cited > 0);
    this.fold.hidden = left === 0;
    this.element.hidden = cited + left === 0;
  }

  /** The text into `element`, each number that is a passage as a button that opens it. */
  write(element, text) {
    let at = 0;
    for (const found of this.passages.size ? text.matchAll(CITED) : []) {
      const numbers = found[1].match(/\d+/g).map(Number);
      if (!numbers.some((number) => this.passages.has(number))) continue;
      element.append(text.slice(at, found.index));
      for (const number of numbers) element.append(this.passages.has(number) ? this._drawMark(number) : `[${number}]`);
      at = found.index + found[0].length;
    }
    if (at < text.length) element.append(text.slice(at));
  }

  _drawMark(number) {
    const mark = this._make("button", "fg-cite", String(number));
    mark.setAttribute("type", "button");
    mark.setAttribute("aria-label", `${this.messages.cited(number)}: ${namePlace(this.passages.get(number), this.messages)}`);
    mark.addEventListener("click", () => this._open(number, mark));
    return mark;
  }

  _drawItem(passage) {
    const { number, source, page, title } = passage;
    const host = findHost(source);
    const path = host || source.split("/").slice(-2).join("/");
    const where = [title ? path : "", page === undefined ? "" : this.messages.page(page)].filter(Boolean).join(" · ");
    const name = this._make("span", "fg-source", title || (host ? source : path));
    name.dir = "auto";
    const place = this._make("span", "fg-where", where);
    const head = this._make("summary", "", this._make("span", "fg-number", String(number)), name, place);
    head.title = namePlace(passage, this.messages);
    const item = this._make("details", "", head);
    item.addEventListener("toggle", () => this._fill(item, passage));
    item.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !item.from?.isConnected) return;
      event.preventDefault();
      event.stopPropagation();
      item.open = false;
      item.from.focus();
    });
    return item;
  }

  /** The text of a passage is drawn when it is opened first. */
  _fill(item, { source, text }) {
    if (!item.open || item.querySelector(".fg-passage")) return;
    const body = this._make("div", "fg-passage");
    Object.assign(body, { dir: "auto", tabIndex: 0 });
    item.append(body);
    const host = findHost(source);
    if (host) {
      const link = this._make("a", "fg-address", source);
      for (const [name, value] of Object.entries({ href: source, target: "_blank", rel: "noreferrer noopener", dir: "ltr" })) link.setAttribute(name, value);
      item.insertBefore(link, body);
    }
    if (/\.(md|markdown)$/i.test(source) && this.draw) this.draw(body, text);
    else if (host || /\.(html?|docx)$/i.test(source)) body.append(...this._drawHeadings(text));
    else body.textContent = text;
  }

  /** Headings of a page or document, which its text writes as Markdown does; all else of it is no Markdown. */
  _drawHeadings(text) {
    return text.split(/^(#{1,6} .*)$/m).map((part, at) => (at % 2 ? this._make("strong", "", part.replace(/^#+ /, "")) : part));
  }

  _open(number, mark) {
    const item = this.items.get(number);
    item.from = mark;
    item.open = true;
    this._fill(item, this.passages.get(number));
    item.scrollIntoView?.({ block: "nearest" });
    item.querySelector("summary").focus({ preventScroll: true });
  }

  _make(tag, className, ...children) {
    const element = this.document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }
}

/** Whose page of the web a passage is of; "" for one of a file, whose path never begins so. */
function findHost(source) {
  if (!/^https?:\/\//i.test(source)) return "";
  try {
    return new URL(source).host;
  } catch {
    return "";
  }
}

const namePlace = ({ source, page }, messages) => (page === undefined ? source : `${source}, ${messages.page(page)}`);
