/** An answer that grows: what is finished is drawn once, only its open end is drawn again.
 *
 * The text is read as parts: blocks, and the items of a list and rows of a table one by one. A part is finished when the
 * first line of the next one is whole. What is not finished stays in `_pending`. Code grows line by line without being read
 * again, and a long paragraph is read again only when it has grown by a part of itself: so all of the work grows with the
 * text and not with its square.
 */

import { finishCode } from "./code.js";
import { Definitions } from "./definitions.js";
import { Fence } from "./fence.js";
import { finishFootnotes } from "./footnotes.js";
import { cutParts, drawPart, makeHead, startContainer } from "./parts.js";
import { parse } from "./parse.js";
import { describe } from "./spoken.js";
import { WORDS } from "./words.js";

const PIECE = 8_000;
const FRAME_MS = 10;
const LONG = 4_000;

export class Growing {
  /** `sources` are the passages that the text may cite (`Sources`). */
  constructor(root, { onSentence, messages, sources } = {}) {
    this.root = root;
    this.messages = { ...WORDS, ...messages };
    this.text = "";
    /** What it cost so far: letters read, parts drawn. */
    this.work = { read: 0, drawn: 0 };
    this.done = Promise.resolve();
    this._say = onSentence;
    this._sources = sources;
    this._held = "";
    this._waiting = "";
    this._pending = "";
    this._open = [];
    this._within = null;
    this._fence = null;
    this._tail = null;
    this._lastRead = 0;
    this._definitions = new Definitions();
    this._unresolved = [];
    this._timer = null;
    this._isEnded = this._isFinished = this._isCut = false;
    root.classList.add("fg-md");
  }

  add(text) {
    if (this._isEnded || !text) return;
    this.text += text;
    const whole = this._held + text;
    const isHalf = /[\r\uD800-\uDBFF]/.test(whole.at(-1));
    this._held = isHalf ? whole.at(-1) : "";
    this._waiting += mend(isHalf ? whole.slice(0, -1) : whole);
    if (this._timer === null && this._waiting) this._take();
  }

  /** `isCut`: it was to go on. */
  end({ isCut = false } = {}) {
    if (this._isEnded) return this.done;
    this._isEnded = true;
    this._isCut = isCut;
    this._waiting += mend(this._held);
    if (this._timer === null) this._take();
    return this.done;
  }

  /** Stops what still waits: its place on the page is gone. */
  drop() {
    clearTimeout(this._timer);
    this._timer = null;
    this._waiting = "";
    this._isEnded = this._isFinished = true;
    this._resolve?.();
    this._resolve = null;
  }

  /** Draws for a part of a frame; the rest of a long text waits for the next one. */
  _take() {
    this._timer = null;
    const until = performance.now() + FRAME_MS;
    do this._step();
    while (this._waiting && performance.now() < until);
    if (this._waiting) {
      if (!this._resolve) this.done = new Promise((resolve) => (this._resolve = resolve));
      this._timer = setTimeout(() => this._take());
      return;
    }
    if (this._isEnded && !this._isFinished) this._finish();
    this._resolve?.();
    this._resolve = null;
  }

  _step() {
    this._pending += this._cut();
    const isLast = this._isEnded && !this._waiting;
    if (this._fence && !this._growFence(isLast)) return;
    const growth = this._waiting ? 2 : 1.1;
    if (!isLast && this._pending.length > LONG && this._pending.length < this._lastRead * growth) this._showTail();
    else this._read(isLast);
  }

  /** The next piece of what waits, whole lines where possible. */
  _cut() {
    const waiting = this._waiting;
    let at = waiting.length;
    if (at > PIECE) {
      const line = waiting.lastIndexOf("\n", PIECE);
      at = line > PIECE / 2 ? line + 1 : PIECE;
      if (/[\uD800-\uDBFF]/.test(waiting[at - 1])) at -= 1;
    }
    this._waiting = waiting.slice(at);
    return waiting.slice(0, at);
  }

  /** The end of a long part as letters, until it is read again. */
  _showTail() {
    if (!this._tail) {
      this._tail = this.root.ownerDocument.createElement("span");
      this._tail.className = "fg-tail";
      this.root.append(this._tail);
    }
    this._tail.textContent = this._pending.slice(this._lastRead);
  }

  /** Whether the fence has ended and text behind it is to be read. */
  _growFence(isLast) {
    const rest = this._fence.take(this._pending, isLast);
    this.work.read += this._pending.length - (rest.text?.length ?? 0);
    this._pending = rest.text;
    if (!rest.isClosed) return false;
    const [part] = this._open;
    this._fence = null;
    this._open = [];
    this._lastRead = 0;
    this._close(part);
    return true;
  }

  _read(isLast) {
    this._tail?.remove();
    this._tail = null;
    const within = this._within;
    const prefix = this._definitions.write(this._pending) + (within?.head ?? "");
    const parsed = parse(this._pending, { prefix, isGrowing: !isLast, isCut: !isLast || this._isCut });
    this.work.read += this._pending.length;
    const parts = cutParts(parsed, { pending: this._pending, within });
    const closed = isLast ? parts.length : countClosed(parts, this._pending);
    this._redraw(parts, parsed);
    for (const part of parts.slice(0, closed)) this._close(part);
    this._open = parts.slice(closed);
    this._moveOn(parts, closed);
  }

  /** Keeps the first elements that show the same text as before; draws all others. */
  _redraw(parts, parsed) {
    let kept = 0;
    while (kept < parts.length && kept < this._open.length && isSame(parts[kept], this._open[kept])) {
      Object.assign(parts[kept], { element: this._open[kept].element, container: this._open[kept].container });
      kept += 1;
    }
    const stays = new Set([this._within?.element, ...parts.slice(0, kept).map((part) => part.container?.element)]);
    for (const old of this._open.slice(kept)) {
      old.element?.remove();
      if (old.container && !stays.has(old.container.element)) old.container.element.remove();
    }
    let container = kept ? parts[kept - 1].container : this._within;
    let list = kept ? parts[kept - 1].block : 0;
    const settings = { parsed, document: this.root.ownerDocument, messages: this.messages, definitions: this._definitions, sources: this._sources };
    for (const part of parts.slice(kept)) {
      if (part.block !== list) container = null;
      list = part.block;
      if (part.kind !== "block") container ??= startContainer(part, settings, this.root);
      part.container = part.kind === "block" ? null : container;
      part.element = part.kind === "head" ? null : drawPart(part, settings);
      this.work.drawn += 1;
      if (part.element) (container?.body ?? this.root).append(part.element);
    }
    for (const part of parts) if (part.isLoose) part.container?.element.classList.add("fg-loose");
  }

  _close(part) {
    this._definitions.learn(part);
    const { element } = part;
    if (!element) return;
    finishInside(element, this.messages);
    if (this._definitions.mayMiss(part.source)) this._unresolved.push(part);
    this._say?.(describe(part, this.messages));
  }

  /** Forgets the text that is drawn for good, and remembers what list, table or code the rest goes on with. */
  _moveOn(parts, closed) {
    const [first] = this._open;
    const before = parts[closed - 1];
    if (closed > 0) {
      this._within = first && before.container && first.container === before.container ? makeHead(first) : null;
      const start = first ? first.start : this._pending.length;
      this._pending = this._pending.slice(start);
    }
    this._lastRead = this._pending.length;
    if (this._open.length !== 1 || this._within) return;
    this._fence = Fence.find(first, this._pending);
    if (this._fence) this._pending = this._fence.begin(this._pending);
  }

  /** Names that were explained later, and notes. */
  _finish() {
    this._isFinished = true;
    for (const part of this._unresolved) if (this._definitions.canSolve(part)) this._drawAgain(part);
    this._unresolved = [];
    const draw = (label) => this._definitions.drawNote(label, { document: this.root.ownerDocument, messages: this.messages, sources: this._sources });
    finishFootnotes(this.root, { labels: this._definitions.notes, draw, messages: this.messages });
    finishInside(this.root, this.messages);
  }

  _drawAgain(part) {
    const within = part.container && makeHead(part);
    const parsed = parse(part.source, { prefix: this._definitions.write(part.source) + (within?.head ?? "") });
    const [found] = cutParts(parsed, { pending: part.source, within });
    if (found?.kind !== part.kind) return;
    const settings = { parsed, document: this.root.ownerDocument, messages: this.messages, definitions: this._definitions, sources: this._sources };
    const element = drawPart(found, settings);
    this.work.drawn += 1;
    if (element) part.element.replaceWith(element);
  }
}

const isSame = (one, other) => one.source === other.source && one.kind === other.kind && one.type === other.type && !one.isGrowing && !other.isGrowing;

/** Line ends as `\n`; what is no character becomes the sign for that. */
const mend = (text) => text.replace(/\r\n?/g, "\n").replace(/\0|\p{Surrogate}/gu, "\uFFFD");

/** Parts that nothing which may still come can change. */
function countClosed(parts, pending) {
  let closed = Math.max(0, parts.length - 1);
  while (closed > 0 && !isApart(parts[closed - 1], parts[closed], pending)) closed -= 1;
  return closed;
}

const ONLY_MARKS = /^[ \t]*(?:(?:[-+*]|\d+[.)])[ \t]*)+$/;

/** Whether `next` reads the same when nothing stands before it: its first line is whole, and does not hang on the one above. */
function isApart(part, next, pending) {
  const end = pending.indexOf("\n", next.start);
  if (end < 0) return false;
  const hangs = part.block !== next.block && (part.type === "definition" || ONLY_MARKS.test(pending.slice(next.start, end)));
  return !hangs || /\n[ \t]*\n$/.test(pending.slice(0, next.start));
}

function finishInside(element, messages) {
  if (element.classList.contains("fg-code")) finishCode(element, messages);
  else for (const figure of element.querySelectorAll(".fg-code")) finishCode(figure, messages);
}
