/** Formulas are lifted out of the text before Markdown is read, so that no `_`, `*` or `|` of theirs is taken for a mark.
 *
 * Four notations: `\(…\)`, `\[…\]`, `$…$`, `$$…$$`. In the text a short stand-in takes their place; where it turns out to
 * stand in code, in an address or in an alternative text, `restore` puts the letters back.
 */

import { findWalls } from "./bounds.js";

const FIRST = "\uE000", LAST = "\uE001";
export const STAND_IN = /\uE000(\d+)\uE001/g;
const TOKEN = /\\(?:[\s\S]|$)|\$+|\uE000/g;
const LONGEST = 5_000;
const QUOTED = /^[ \t]*(?:>[ \t]?)+/;

/** `text` with stand-ins, and what they stand for. `isGrowing`: a formula without an end may still get one. */
export function lift(text, isGrowing = false) {
  const search = new Search(text), found = [], pieces = [], walls = findWalls(text);
  let at = 0;
  const put = (one) => {
    pieces.push(text.slice(at, one.start), FIRST + found.length + LAST);
    found.push(one);
    TOKEN.lastIndex = at = one.end;
  };
  TOKEN.lastIndex = 0;
  for (;;) {
    const token = TOKEN.exec(text);
    if (walls.length && (token?.index ?? Infinity) >= walls[0][0]) {
      const [start, end] = walls.shift();
      put({ start: Math.max(at, start), end: Math.max(at, end), isFormula: false });
      continue;
    }
    if (!token) break;
    const one = token[0] === FIRST ? letters(token.index) : read(search, token[0], token.index, isGrowing);
    if (one) put(one);
  }
  pieces.push(text.slice(at));
  for (const one of found) one.source ??= unquote(text, one.start, text.slice(one.start, one.end));
  return new Lifted(found, pieces);
}

class Lifted {
  constructor(found, pieces) {
    this.found = found;
    this.text = pieces.join("");
  }

  /** The letters again, wherever they were no formula after all. */
  restore(text) {
    return this.found.length && text.includes(FIRST) ? text.replace(STAND_IN, (all, number) => this.found[number]?.source ?? all) : text;
  }

  /** Where a place of the new text was in the old one. */
  place(offset) {
    let at = 0, gained = 0;
    for (let number = 0; number < this.found.length; number++) {
      const { start, end } = this.found[number], length = String(number).length + 2;
      at = start - gained;
      if (offset < at + length) return offset <= at ? offset + gained : start;
      gained += end - start - length;
    }
    return offset + gained;
  }
}

const letters = (start) => ({ start, end: start + 1, source: FIRST, isFormula: false });

/** The next place of each mark, found once however often it is asked for. */
class Search {
  constructor(text) {
    this.text = text;
    this.known = new Map();
  }

  next(mark, from) {
    const known = this.known.get(mark);
    if (known && known.from <= from && from <= known.at) return known.at;
    let at;
    if (typeof mark === "string") at = this.text.indexOf(mark, from);
    else {
      mark.lastIndex = from;
      at = mark.exec(this.text)?.index ?? -1;
    }
    if (at < 0) at = this.text.length;
    this.known.set(mark, { from, at });
    return at;
  }
}

const BLANK = /\n[ \t>]*\n/g, TICK = /`/g, DOUBLE = /\$\$/g, LINE = /\n/g;

function read(search, token, start, isGrowing) {
  if (token === "\\(" || token === "\\[") return readBracket(search, token, start, isGrowing);
  if (token === "$$") return readDouble(search, start, isGrowing);
  return token === "$" ? readSingle(search, start) : undefined;
}

/** How far a formula that begins at `start` may reach at most. */
const bound = (search, start) => Math.min(search.next(BLANK, start), search.next(TICK, start), start + LONGEST);

function readBracket(search, token, start, isGrowing) {
  const { text } = search, close = token === "\\(" ? "\\)" : "\\]", from = start + 2;
  const most = bound(search, from), at = closing(search, close, from);
  const isDisplay = token === "\\[";
  if (at < most) return text.slice(from, at).trim() ? formula(text, start, at + 2, 2, isDisplay) : undefined;
  return isGrowing && most === text.length ? open(text, start, isDisplay) : undefined;
}

/** The next closing mark that is not itself behind a backslash, as the one in `\\]` is. */
function closing(search, close, from) {
  let at = search.next(close, from);
  for (let tries = 0; at < search.text.length && search.text[at - 1] === "\\" && tries < 100; tries++) at = search.next(close, at + 1);
  return at;
}

function readDouble(search, start, isGrowing) {
  const { text } = search, from = start + 2;
  const most = bound(search, from), end = search.next(DOUBLE, from);
  const isFirst = /(?:^|\n)[ \t>]*(?:(?:[-+*]|\d+[.)])[ \t]+)?$/.test(text.slice(Math.max(0, start - 40), start));
  if (end >= most) return isGrowing && isFirst && most === text.length && from < text.length ? open(text, start, true) : undefined;
  const inside = text.slice(from, end), stop = end + 2;
  if (!inside.trim() || text[stop] === "$" || (!isFirst && inside.includes("\n"))) return undefined;
  const isLast = stop === text.length || /^[ \t]*[.,;:!?)]?[ \t]*(?:\n|$)/.test(text.slice(stop, stop + 80));
  if (!(isFirst && isLast) && /^\s[\w\s,.'’-]*\s$/.test(inside) && /\w\w/.test(inside)) return undefined; // rated $$ and $$
  return formula(text, start, stop, 2, isFirst && isLast);
}

/** One dollar on each side, tight, on one line; money is left alone. */
function readSingle(search, start) {
  const { text } = search, from = start + 1;
  if (/[\w$\\/=?&#%@.]/.test(text[start - 1] ?? " ") || !/\S/.test(text[from] ?? " ")) return undefined;
  const end = search.next("$", from);
  if (end >= Math.min(bound(search, from), search.next(LINE, from)) || end === from) return undefined;
  const inside = text.slice(from, end);
  if (/\s$|\\$/.test(inside) || /[\w$]/.test(text[end + 1] ?? " ") || isMoney(inside)) return undefined;
  return formula(text, start, end + 1, 1, false);
}

/** `$5, but you have 10$` is no formula; `$5 \times 3$`, `$2x$` and `$0 < x$` are. */
const isMoney = (inside) => /^[-+]?\d/.test(inside) && !/[\\^_=<>+{}]/.test(inside) && (/\s/.test(inside) || /^[-+]?[\d.,]*\d[.,]?(?:[kKmM]|bn)?$/.test(inside) && /[.,]\d{3}|^\d{2,}\.\d\d$/.test(inside));

function formula(text, start, end, width, isDisplay) {
  const value = unquote(text, start, text.slice(start + width, end - width)).trim();
  return { start, end, value, isDisplay, isFormula: true };
}

const open = (text, start, isDisplay) => ({ start, end: text.length, value: null, isDisplay, isFormula: true });

/** Without the `>` of a quote before each further line. */
function unquote(text, start, inside) {
  if (!inside.includes("\n")) return inside;
  const line = text.lastIndexOf("\n", start - 1) + 1;
  return QUOTED.test(text.slice(line, start)) ? inside.split("\n").map((one, at) => (at ? one.replace(QUOTED, "") : one)).join("\n") : inside;
}
