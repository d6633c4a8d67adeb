// @ts-check
/** Formulas: `\(…\)`, `\[…\]`, `$…$` and `$$…$$`, found as rules of markdown-it and set by KaTeX, which is loaded when the
 * first one comes. One that cannot be set stays as it was written. */

import { make } from "./dom.js";

const CLOSES = { "\\(": "\\)", "\\[": "\\]", $$: "$$", $: "$" };
const LONGEST = 5_000;
const OPTIONS = { throwOnError: true, trust: false, strict: "ignore", maxExpand: 500, maxSize: 10, output: "htmlAndMathml" };
const FRAME_MS = 8;
/** Elements within each other, some 45 powers of powers: a page with more than thousands of them ends its browser's tab. */
const DEEPEST = 400;
/** Stands for a `|` of a formula, which would end a table's cell. No text has it. */
const BAR = "\uFDD0";
const IN_ROW = /\$[^\s$`][^$\n`]*\$|\\\(.*?\\\)/g;

export const restore = (/** @type {string} */ text) => text.replaceAll(BAR, "|");

/** A plugin of markdown-it: tokens `math` with their `content`, as they were written as `markup`, "display" as `info`. */
export function readFormulas(/** @type {any} */ md) {
  md.core.ruler.after("normalize", "bars", hideBars);
  md.inline.ruler.before("escape", "math", readInline);
  md.block.ruler.before("table", "math", readBlock, { alt: ["paragraph", "reference", "blockquote", "list"] });
}

function hideBars(state) {
  state.src = state.src.replaceAll(BAR, "\uFFFD");
  if (!/[$\\].*\|.*[$\\]/.test(state.src)) return;
  state.src = state.src.replace(/^.*\|.*$/gm, (line) => {
    const hidden = line.replace(IN_ROW, (found, at) => (found[0] === "$" && !isSingle(line, at, at + found.length - 1) ? found : found.replaceAll("|", BAR)));
    return hidden.includes("|") ? hidden : line;
  });
}

/** Lines from one that begins with `$$` or `\[` to the one with its end are one paragraph, whatever they look like. */
function readBlock(state, first, last, isSilent) {
  const at = state.bMarks[first] + state.tShift[first], open = state.src.slice(at, at + 2);
  if ((open !== "$$" && open !== "\\[") || state.sCount[first] - state.blkIndent >= 4) return false;
  let line = first, end = -1;
  while (line < last && end < 0 && !state.isEmpty(line) && state.sCount[line] >= state.blkIndent) {
    end = state.src.slice(line === first ? at + 2 : state.bMarks[line], state.eMarks[line]).indexOf(CLOSES[open]);
    line += 1;
  }
  const isOpen = end < 0 && state.env.isGrowing && line === state.lineMax;
  const content = state.getLines(first, line, state.blkIndent, false).trim();
  if (!isOpen && (end < 0 || content.length > LONGEST || !/(?:\$\$|\\\])[ \t]*[.,;:!?)]?$/.test(content))) return false;
  if (isSilent) return true;
  state.line = line;
  state.push("paragraph_open", "p", 1).map = [first, line];
  Object.assign(state.push("inline", "", 0), { content, map: [first, line], children: [] });
  state.push("paragraph_close", "p", -1);
  return true;
}

function readInline(state, isSilent) {
  const { src, pos: start, env } = state;
  const open = src[start] === "\\" ? src.slice(start, start + 2) : /^\$*/.exec(src.slice(start, start + 3))?.[0] ?? "";
  const close = CLOSES[open], from = start + open.length;
  if (!close || (open[0] === "$" && src[start - 1] === "$")) return false;
  let end = src.indexOf(close, from);
  for (let tries = 0; open[0] === "\\" && src[end - 1] === "\\" && tries < 100; tries++) end = src.indexOf(close, end + 1);
  const tick = src.indexOf("`", from), isFirst = /(?:^|\n)[ \t]*$/.test(src.slice(Math.max(0, start - 40), start));
  const isWhole = end >= 0 && end - from <= LONGEST && !(tick >= 0 && tick < end);
  const isOpen = end < 0 && tick < 0 && env.isGrowing && src === env.last && (open[0] === "\\" || (open === "$$" && isFirst && from < src.length));
  const isDisplay = open === "\\[" || (open === "$$" && isFirst && (isOpen || /^[ \t]*[.,;:!?)]?[ \t]*(?:\n|$)/.test(src.slice(end + 2, end + 82))));
  if (!isOpen && !(isWhole && isFormula(src, { open, start, end, isFirst, isDisplay }))) return false;
  state.pos = isOpen ? src.length : end + close.length;
  if (isSilent) return true;
  const info = isDisplay ? "display" : "", content = isOpen ? "" : restore(src.slice(from, end).trim());
  Object.assign(state.push("math", "", 0), { content, info, markup: restore(src.slice(start, state.pos)) });
  return true;
}

function isFormula(src, { open, start, end, isFirst, isDisplay }) {
  if (open === "$") return isSingle(src, start, end);
  const inside = src.slice(start + 2, end);
  if (!inside.trim()) return false;
  if (open !== "$$") return true;
  const isProse = !isDisplay && /^\s[\w\s,.'’-]*\s$/.test(inside) && /\w\w/.test(inside); // rated $$ and $$
  return src[end + 2] !== "$" && (isFirst || !inside.includes("\n")) && !isProse;
}

/** One dollar on each side, tight, on one line; money is left alone. */
function isSingle(src, start, end) {
  const inside = src.slice(start + 1, end);
  return !/[\w$\\/=?&#%@.]/.test(src[start - 1] ?? " ") && /^\S/.test(inside) && !/\s$|\\$|\n/.test(inside) && !/[\w$]/.test(src[end + 1] ?? " ") && !isMoney(inside);
}

/** `$5, but you have 10$` is no formula; `$5 \times 3$`, `$2x$` and `$0 < x$` are. */
const isMoney = (inside) => /^[-+]?\d/.test(inside) && !/[\\^_=<>+{}]/.test(inside) && (/\s/.test(inside) || /^[-+]?[\d.,]*\d[.,]?(?:[kKmM]|bn)?$/.test(inside) && /[.,]\d{3}|^\d{2,}\.\d\d$/.test(inside));

let katex;
const waiting = [];

/** Its letters, until it is set; one without `content` still grows. */
export function drawFormula({ content, info, markup }) {
  const scrolling = content && info ? { tabindex: "0", role: "group", "aria-label": "Formula" } : {};
  return make("span", { class: info ? "fg-math fg-display" : "fg-math", dir: "ltr", "data-formula": content || null, ...scrolling }, markup);
}

/** In its place on the page. */
export function setFormula(element) {
  if (katex && !waiting.length) typeset(element);
  else if (!waiting.includes(element) && waiting.push(element) === 1) load().then(work, () => (waiting.length = 0));
}

/** Tries again after a failure, as far as the browser does. The sheet is a file beside this one, named by the build. */
async function load() {
  katex = (await import("katex")).default;
  document.head.append(make("link", { rel: "stylesheet", href: new URL(`./${KATEX_SHEET}`, import.meta.url).href }));
}

function work() {
  const until = performance.now() + FRAME_MS;
  while (waiting.length && performance.now() < until) typeset(waiting.shift());
  if (waiting.length) setTimeout(work);
}

function typeset(element) {
  const { formula } = element.dataset;
  if (formula === undefined) return; // another one stands there by now
  delete element.dataset.formula;
  const drawn = make("span");
  try {
    katex.render(formula, drawn, { ...OPTIONS, displayMode: element.classList.contains("fg-display") });
    if (isTooDeep(drawn)) throw new RangeError("too deep");
    element.replaceChildren(...drawn.childNodes);
  } catch {
    element.classList.add("fg-failed");
  }
}

function isTooDeep(drawn) {
  let level = [drawn];
  for (let depth = 0; level.length && depth <= DEEPEST; depth++) level = level.flatMap((one) => [...one.children]);
  return level.length > 0;
}
