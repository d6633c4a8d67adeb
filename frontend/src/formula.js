/** Formulas by KaTeX, which is loaded when the first one comes. One that cannot be read stays as it was written. */

import { addSheet } from "./sheets.js";

const OPTIONS = { throwOnError: true, trust: false, strict: "ignore", maxExpand: 500, maxSize: 10, output: "htmlAndMathml" };
const FRAME_MS = 8;
/** Elements within each other, some 45 powers of powers: a page with more than thousand of them ends its browser's tab. */
const DEEPEST = 400;
let katex, loading;
const waiting = [];

export function drawFormula(drawing, formula) {
  const element = drawing.make("span", formula.isDisplay ? "fg-math fg-display" : "fg-math", formula.source);
  element.dir = "ltr";
  if (formula.value === null) return element;
  element.dataset.formula = formula.value;
  if (formula.isDisplay) {
    element.setAttribute("tabindex", "0"); // a wide one scrolls
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", drawing.messages.formula);
  }
  if (katex && waiting.length === 0 && drawing.hasTime?.() !== false) typeset(element);
  else later(element);
  return element;
}

function later(element) {
  if (waiting.push(element) === 1) load().then(work, () => (waiting.length = 0));
}

async function load() {
  loading ??= import("katex");
  katex = (await loading).default;
}

function work() {
  const until = performance.now() + FRAME_MS;
  while (waiting.length && performance.now() < until) typeset(waiting.shift());
  if (waiting.length) setTimeout(work);
}

function typeset(element) {
  const value = element.dataset.formula;
  if (value === undefined) return;
  delete element.dataset.formula;
  addSheet(element, "katex");
  const drawn = element.ownerDocument.createElement("span");
  try {
    katex.render(value, drawn, { ...OPTIONS, displayMode: element.classList.contains("fg-display") });
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
