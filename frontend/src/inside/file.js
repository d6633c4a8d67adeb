// A flow file as text: numbered lines in colours, and each mistake below the line that it is in.

import { colour } from "../code.js";
import { icon, make, makeCopyButton, writeSentence } from "../dom.js";
import { count } from "../chat/words.js";

const MOST_COLOURED = 100_000;
const TOLD = 6;
/** In a file of fewer lines each mistake is in sight. */
const SHORT = 25;

/** What comes back has `element`, and `goTo(line)`, which shows a line. */
export function drawFile({ name, note, count: lines, parts, mistakes, more }) {
  const rows = new Map();
  const byLine = Map.groupBy ? Map.groupBy(mistakes, ({ line }) => line) : group(mistakes);
  const blocks = parts.flatMap((part, at) => {
    const before = at ? parts[at - 1].start + parts[at - 1].lines.length : 1;
    const left = part.start - before;
    return [left > 0 ? drawGap(left) : null, ...part.lines.map((line, place) => drawLine(line, part.start + place, byLine, rows))].flat();
  });
  const last = parts.at(-1), end = last ? last.start + last.lines.length - 1 : 0;
  const code = make("div", { class: "fg-lines", dir: "ltr" }, ...blocks, lines > end ? drawGap(lines - end) : null);
  const box = make("div", { class: "fg-file-text", tabindex: "0", role: "region", "aria-label": `Text of ${name}` }, code);
  const goTo = (line) => showLine(box, rows.get(line));
  const isWhole = parts.length === 1 && end === lines;
  const copy = isWhole ? makeCopyButton("Copy the file", () => `${last.lines.join("\n")}\n`) : null;
  const warnings = mistakes.filter(({ is_warning: isWarning }) => isWarning).length, wrong = mistakes.length + more - warnings;
  const said = [[wrong, "mistake"], [warnings, "warning"]].map(([number, kind]) =>
    number ? make("span", { class: "fg-count", "data-kind": kind }, icon("alert"), count(number, kind)) : null);
  const head = make("header", {}, make("div", {}, make("strong", {}, name), ...said, make("span", { class: "fg-figures" }, count(lines, "line"))), copy);
  const element = make("section", { class: "fg-file", "aria-label": name }, head, note ? make("p", { class: "fg-says" }, note) : null, lines > SHORT ? drawMistakes(mistakes, more, goTo) : null, lines ? box : null);
  colourLines(parts, rows);
  return { element, goTo };
}

function group(mistakes) {
  const found = new Map();
  for (const mistake of mistakes) found.set(mistake.line, [...(found.get(mistake.line) ?? []), mistake]);
  return found;
}

/** The first mistakes by their lines: a press leads there. */
function drawMistakes(mistakes, more, goTo) {
  if (!mistakes.length) return null;
  const shown = mistakes.slice(0, TOLD).map((mistake) =>
    make("li", {}, make("button", { type: "button", click: () => goTo(mistake.line) }, `Line ${mistake.line}`), make("span", {}, ...writeSentence(mistake.text))));
  const left = mistakes.length + more - shown.length;
  return make("ul", { class: "fg-mistakes" }, ...shown, left > 0 ? make("li", {}, `and ${left.toLocaleString("en")} more`) : null);
}

function drawLine(text, number, byLine, rows) {
  const mistakes = byLine.get(number) ?? [];
  const code = make("code", {}, text);
  const marks = mistakes.map(({ column, length }) => make("i", { class: "fg-under", style: `--at:${column - 1};--long:${length}`, "aria-hidden": "true" }));
  const row = make("div", { class: "fg-line", "data-number": number, "data-wrong": mistakes.length > 0 && (mistakes.every(({ is_warning: isWarning }) => isWarning) ? "warning" : "mistake") }, code, ...marks);
  rows.set(number, { row, code });
  return [row, ...mistakes.map(drawMistake)];
}

function drawMistake({ column, text, hint, is_warning: isWarning }) {
  const said = make("span", {}, ...writeSentence(text), hint ? " " : null, ...(hint ? writeSentence(hint) : []));
  return make("div", { class: "fg-wrong", role: "note", "data-kind": isWarning ? "warning" : "mistake", "aria-label": `${isWarning ? "Warning" : "Mistake"} at column ${column}` }, icon("alert"), said);
}

const drawGap = (lines) => make("div", { class: "fg-gap" }, `… ${count(lines, "line")} left out …`);

function showLine(box, found) {
  if (!found) return;
  const { row } = found;
  const top = row.offsetTop - box.clientHeight / 3;
  box.scrollTo({ top: Math.max(0, top) });
  box.scrollIntoView({ block: "nearest" });
  box.focus({ preventScroll: true });
  row.classList.remove("fg-found");
  void row.offsetWidth; // else the animation does not begin anew
  row.classList.add("fg-found");
}

/** Each stretch at once, then cut into its lines. */
async function colourLines(parts, rows) {
  const text = parts.map(({ lines }) => lines.join("\n"));
  if (text.reduce((sum, one) => sum + one.length, 0) > MOST_COLOURED) return;
  for (const [at, { start, lines }] of parts.entries()) {
    const whole = make("code", {}, text[at]);
    await colour(whole, "yaml", MOST_COLOURED);
    const cut = cutLines(whole);
    lines.forEach((line, place) => {
      const { code } = rows.get(start + place);
      if (cut[place]?.textContent === line) code.replaceChildren(...cut[place].childNodes);
    });
  }
}

/** The lines of coloured code, each with the elements of its own. */
function cutLines(code) {
  const lines = [document.createDocumentFragment()];
  const walk = (node, wrap) => {
    for (const child of node.childNodes) {
      if (child.nodeType !== 3) {
        walk(child, (text) => {
          const span = make("span", { class: child.className }, text);
          return wrap(span);
        });
        continue;
      }
      child.data.split("\n").forEach((text, at) => {
        if (at) lines.push(document.createDocumentFragment());
        if (text) lines.at(-1).append(wrap(text));
      });
    }
  };
  walk(code, (text) => text);
  return lines;
}
