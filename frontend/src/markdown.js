// @ts-check
/** Draws what a model writes: Markdown with tables, formulas, code and diagrams, whole or while it grows.
 *
 * An answer that grows is read from the first block that may still change, and of that only what is new is put on the page.
 * A long block is read again only when it has grown by a part of itself: so all of the work grows with the text and not
 * with its square. In the end the whole is read once more, for names that are explained later, and what differs is drawn.
 */

import { draw } from "./draw.js";
import { adopt } from "./dom.js";
import { finishCode } from "./code.js";
import { setFormula } from "./formulas.js";
import css from "./markdown.css";
import { readMarkdown } from "./read.js";

export { copyText } from "./dom.js";
export { repaint } from "./pictures.js";
export { Sources } from "./sources.js";
/** The sheet has the colours of code, too. */
export { adopt, css as sheet };

const FRAME_MS = 10;
/** The part by which a block grows before it is read again, and milliseconds after which it is in any case. */
const GROWTH = 1 / 50, LATEST = 200;
const MOST_SAID = 2_000;
let answers = 0;

export class Growing {
  /** @param {HTMLElement} root
   * @param {{onSentence?: (sentence: string) => void, sources?: import("./sources.js").Sources}} options `sources` are the
   * passages that the text may cite */
  constructor(root, { onSentence, sources } = {}) {
    this.root = root;
    this.onSentence = onSentence;
    this.sources = sources;
    this.text = "";
    /** The text as it is read, without what may be half of a letter or of a line's end. */
    this.source = "";
    this.held = "";
    this.prefix = `fg-${++answers}-note-`;
    this.done = Promise.resolve();
    this.isEnded = this.isDropped = false;
    /** Characters before the block that may still change, what its elements are, and what of it was said. */
    this.closed = 0;
    this.open = [];
    this.said = 0;
    this.lastRead = 0;
    this.references = {};
    this.blocks = [];
    root.classList.add("fg-md");
    adopt(css);
  }

  /** @param {string} text */
  add(text) {
    if (this.isEnded || !text) return;
    this.text += text;
    const whole = this.held + text;
    this.held = /[\r\uD800-\uDBFF]$/.exec(whole)?.[0] ?? "";
    this.source += mend(whole.slice(0, whole.length - this.held.length));
    const grown = this.source.length - this.closed - this.lastRead;
    if (grown > this.lastRead * GROWTH) this.read();
    else this.timer ??= setTimeout(() => this.read(), LATEST);
  }

  read() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const pending = this.source.slice(this.closed);
    this.lastRead = pending.length;
    const blocks = readMarkdown(pending, { isGrowing: true, references: { ...this.references } });
    blocks.forEach((block, place) => (this.open[place] = this.put(block, this.open[place])));
    for (const left of this.open.splice(blocks.length)) left.remove();
    let closed = blocks.length - 1;
    if (closed > 0 && !pending.includes("\n", blocks[closed].start)) closed -= 1; // its first line may yet belong to the one before
    for (const [place, element] of this.open.slice(0, closed + 1).entries()) this.finish(element, place < closed);
    if (closed <= 0) return;
    const { start } = blocks[closed];
    const explained = pending.slice(0, start);
    if (explained.includes("]:")) readMarkdown(explained, { references: this.references });
    for (const [place, { source }] of blocks.slice(0, closed).entries()) this.blocks.push({ source, element: this.open[place] });
    this.open.splice(0, closed);
    this.closed += start;
    this.lastRead = pending.length - start;
  }

  /** Draws a block in the place of what it was; what is the same keeps its elements. Of one that still grows the first
   * parts are not even drawn again, but for the last one: it may end otherwise now. */
  put({ tokens, parts }, before) {
    const known = this.isEnded || before?.type !== tokens[0].type ? [] : before.parts;
    let same = 0;
    while (same < Math.min(known.length, parts.length) - 1 && known[same] === parts[same].source) same += 1;
    const fresh = draw(same ? [...tokens.slice(0, parts[0].place), ...tokens.slice(parts[same].place)] : tokens, this);
    if (!before) this.root.append(fresh);
    if (same) morphChildren(findBody(before), findBody(fresh), same);
    const element = same ? before : before ? morph(before, fresh) : fresh;
    Object.assign(element, { className: same ? fresh.className : element.className, type: tokens[0].type, parts: parts.map(({ source }) => source) });
    for (const formula of element.querySelectorAll("[data-formula]")) setFormula(formula);
    return element;
  }

  /** Says those parts that nothing changes any more, each once; code that has its end gets its colours. */
  finish(element, isClosed) {
    for (const figure of listCode(element).slice(0, isClosed ? undefined : -1)) finishCode(figure);
    const parts = listParts(element), ready = isClosed ? parts.length : parts.length - 1;
    for (const part of parts.slice(this.said, ready)) this.onSentence?.(describe(part));
    this.said = isClosed ? 0 : Math.max(this.said, ready);
  }

  /** `isCut`: it was to go on. */
  end({ isCut = false } = {}) {
    if (this.isEnded) return this.done;
    this.isEnded = true;
    clearTimeout(this.timer);
    this.source = mend(this.text);
    this.done = this.drawWhole(readMarkdown(this.source, { isCut }));
    return this.done;
  }

  /** In pieces, between which the page does what waits. */
  async drawWhole(blocks) {
    const before = [...this.blocks, ...this.open.map((element) => ({ source: null, element }))], firstOpen = this.blocks.length;
    let until = performance.now() + FRAME_MS;
    for (const [place, block] of blocks.entries()) {
      if (performance.now() > until) {
        await new Promise((resolve) => setTimeout(resolve));
        if (this.isDropped) return;
        until = performance.now() + FRAME_MS;
      }
      const known = before[place], isSame = known?.source === block.source && !block.source.includes("[");
      const element = isSame ? known.element : this.put(block, known?.element);
      if (place >= firstOpen) this.finish(element, true);
      else if (!isSame) listCode(element).forEach(finishCode);
    }
    for (const { element } of before.slice(blocks.length)) element.remove();
  }

  /** Stops what still waits: its place on the page is gone. */
  drop() {
    clearTimeout(this.timer);
    this.isEnded = this.isDropped = true;
  }
}

/** Draws a whole text; what it returns has `done`, `text` and `drop()`.
 * @param {HTMLElement} root
 * @param {string} text
 * @param {{isCut?: boolean, sources?: import("./sources.js").Sources}} options */
export function render(root, text, { isCut, sources } = {}) {
  root.replaceChildren();
  const whole = new Growing(root, { sources });
  whole.text = text;
  whole.end({ isCut });
  return whole;
}

/** Line ends as `\n`; what is no character becomes the sign for that. */
const mend = (text) => text.replace(/\r\n?/g, "\n").replace(/\0|\p{Surrogate}/gu, "\uFFFD");

/** Makes `old` show what `fresh` does; what is there afterwards. */
function morph(old, fresh) {
  if (isKept(old, fresh)) return old;
  if (old.nodeType === 3 && fresh.nodeType === 3) {
    if (fresh.data.startsWith(old.data)) old.appendData(fresh.data.slice(old.data.length)); // what is selected stays so
    else old.data = fresh.data;
    return old;
  }
  if (!old.tagName || old.tagName !== fresh.tagName || old.dataset.finished || (fresh.matches("div, span") && old.classList[0] !== fresh.classList[0])) {
    old.replaceWith(fresh);
    return fresh;
  }
  const isCode = fresh.matches(".fg-code"); // whose class says whether it is wrapped
  for (const { name, value } of [...fresh.attributes]) if (!isCode || name !== "class") old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  old.key = fresh.key;
  morphChildren(old, fresh);
  return old;
}

/** From the child of this number on. */
function morphChildren(old, fresh, from = 0) {
  const kept = [...old.childNodes].slice(from), wanted = [...fresh.childNodes];
  wanted.forEach((child, place) => (kept[place] ? morph(kept[place], child) : old.append(child)));
  for (const left of kept.slice(wanted.length)) left.remove();
}

/** Where the items of a list or the rows of a table are. */
const findBody = (element) => (element.matches(".fg-table") ? element.querySelector("tbody") : element);

/** Also code in its colours and a formula that is set show what they did before. */
function isKept(old, fresh) {
  const { key } = fresh;
  if (old.matches?.(".fg-code-bar :is(button, [role=status])")) return true; // they know themselves what was pressed
  return key === undefined ? old.isEqualNode(fresh) : old.key === key;
}

const listCode = (element) => (element.matches(".fg-code") ? [element] : [...element.querySelectorAll(".fg-code")]);

/** What is told one by one: the items of a list, the rows of a table. */
function listParts(element) {
  if (element.matches("ul, ol")) return [...element.children];
  if (element.matches(".fg-footnotes")) return [];
  return element.matches(".fg-table") ? [...element.querySelectorAll("tbody tr")] : [element];
}

/** As a screen reader may say it: sentences whole, code by its size. */
function describe(part) {
  if (part.matches(".fg-code")) {
    const lines = part.querySelector("code").textContent.split("\n").length;
    return `${part.querySelector("pre").getAttribute("aria-label")}, ${lines === 1 ? "1 line" : `${lines} lines`}`;
  }
  return part.matches("tr") ? [...part.children].map(speak).filter(Boolean).join(", ") : speak(part).slice(0, MOST_SAID);
}

function speak(element) {
  const copy = element.cloneNode(true);
  for (const formula of copy.querySelectorAll(".fg-math annotation")) formula.closest(".fg-math").textContent = formula.textContent;
  for (const bar of copy.querySelectorAll(".fg-code-bar")) bar.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}
