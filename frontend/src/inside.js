// @ts-check
/** The inside of a flow as a component of the page *Inside*: its picture and list of steps, in which is shown what these are
 * at, and its file beside it. */

import { colour } from "./code.js";
import { adopt, count, icon, join, make, makeCopyButton, writeMoment, writeSeconds, writeSentence } from "./dom.js";
import baseCss from "./base.css";
import css from "./inside.css";
import { sheet } from "./markdown.js";
import { makePicture } from "./pictures.js";
import { Socket } from "./chat/socket.js";

const STATES = { running: "Running", done: "Done", skipped: "Skipped", failed: "Failed" };
/** A picture is made so much smaller or larger at most, to fit; below that one scrolls. */
const SMALLEST = 0.7, LARGEST = 1.2;
const NOTHING = "Keep this open and send a message in another tab to watch the steps run here.";

const TOLD = 6;
/** In a file of fewer lines each mistake is in sight. */
const SHORT = 25;

export default function mount({ parentElement, data: [data] }) {
  for (const text of [baseCss, sheet, css]) adopt(text);
  let shown = parentElement.fgInside;
  const said = JSON.stringify(data);
  if (shown?.said !== said) {
    shown?.close();
    shown = parentElement.fgInside = { said, ...show(parentElement, data) };
  }
  shown.draw(); // the theme may be another one
  return () => {
    shown.close();
    parentElement.fgInside = null;
  };
}

/** What comes back has `draw()`, which paints the picture anew, and `close()`. */
function show(parent, data) {
  const { flow, session } = data, isAlone = !data.steps.length;
  const file = drawFile(data.file), steps = drawSteps(data, { goTo: file.goTo });
  const root = make("div", { class: "fg-inside", "data-alone": isAlone }, isAlone ? null : steps.element, file.element);
  parent.append(root);
  const follower = flow && session ? new Follower(flow, session, (states, about) => lightSteps(steps, states, about)) : null;
  const close = () => {
    follower?.socket.close();
    root.remove();
  };
  return { draw: steps.draw, close };
}

/** What the steps of a conversation's turns are at: of the one that runs as it goes, else of the last one. */
export class Follower {
  /** `tell(states, about)`: what became of each component by its id, and of which turn that is. */
  constructor(flow, session, tell) {
    this.session = session;
    this.tell = tell;
    this.run = this.message = this.at = null;
    this.states = {};
    this.socket = new Socket(`/chat?flow=${encodeURIComponent(flow)}`, { hear: (frame) => this.hear(frame), change: (state) => state === "open" && this.ask() });
  }

  ask() {
    this.socket.send({ type: "open", session: this.session });
  }

  hear(frame) {
    if (frame.type === "conversation" && !frame.running) this.askSteps(frame.messages);
    else if (frame.type === "started") this.begin(frame);
    else if (frame.type === "step" && frame.run === this.run) this.tell(Object.assign(this.states, frame.states), { isRunning: true });
    else if (frame.type === "ended" && frame.run === this.run && !this.askSteps(frame.messages)) this.tell(this.states, {});
    else if (frame.type === "steps" && frame.message === this.message) this.show([...(frame.tools ?? []), ...frame.steps]);
    else if (frame.type === "behind") this.ask();
  }

  begin({ run }) {
    if (this.run === run) return;
    Object.assign(this, { run, states: {}, message: null });
    this.tell(this.states, { isRunning: true });
  }

  /** Of the last answer that has steps; whether there is one. */
  askSteps(messages) {
    const last = messages.findLast(({ role, facts }) => role === "assistant" && facts?.steps);
    Object.assign(this, { run: null, message: last?.id ?? null, at: last?.at });
    return Boolean(last) && this.socket.send({ type: "steps", session: this.session, message: last.id });
  }

  show(steps) {
    this.states = Object.fromEntries(steps.map(({ id, status }) => [id, status]));
    this.tell(this.states, { at: this.at, steps });
  }
}

/** `goTo(line)` shows a line of the file. What comes back has `element`, and `draw()`, which paints the picture anew. */
export function drawSteps({ picture, says, steps }, { goTo }) {
  const about = make("p", { class: "fg-about", role: "status" }, NOTHING);
  const figure = make("div", { class: "fg-figure", tabindex: "0", role: "img", "aria-label": `The flow as a picture: ${steps.map(({ label }) => label).join(", ")}` });
  const rows = new Map(steps.map((step) => [step.id, drawRow(step, goTo)]));
  const list = make("ol", { class: "fg-steps-list" }, ...[...rows.values()].map(({ element }) => element));
  const details = make("details", { open: !picture }, make("summary", {}, "Steps as a list"), list);
  const parts = [says && make("p", { class: "fg-says" }, says), picture && figure, about, details];
  const element = make("section", { class: "fg-flow", "aria-label": "Steps" }, ...parts.filter(Boolean));
  const shown = { element, figure, about, details, rows, steps, states: {} };
  shown.draw = () => picture && paint(shown, picture, goTo);
  return shown;
}

function drawRow({ label, line }, goTo) {
  const state = make("span", { class: "fg-state" });
  const name = line == null ? make("strong", {}, label) : make("button", { type: "button", title: `Line ${line}`, click: () => goTo(line) }, label);
  const element = make("li", {}, make("span", { class: "fg-row" }, name, state));
  return { element, state };
}

/** In the theme's colours; a text that cannot be drawn leaves the list. */
async function paint(shown, text, goTo) {
  const { figure } = shown;
  const style = getComputedStyle(figure);
  const colours = ["--st-background-color", "--st-text-color", "--st-primary-color"].map((name) => style.getPropertyValue(name)).join();
  if (shown.colours === colours) return;
  shown.colours = colours;
  try {
    const picture = await makePicture(text, figure);
    picture.removeAttribute("role");
    const { width } = picture.viewBox.baseVal;
    picture.style.maxWidth = `min(100%, ${Math.ceil(width * LARGEST)}px)`;
    picture.style.minWidth = `${Math.ceil(width * SMALLEST)}px`;
    figure.replaceChildren(document.importNode(picture, true));
    shown.drawn = new Map(shown.steps.map(({ id, node }) => [id, figure.querySelector(`g.node[id*="flowchart-${node}-"]`)]));
    for (const { id, line } of shown.steps) if (line != null) shown.drawn.get(id)?.addEventListener("click", () => goTo(line));
    light(shown);
  } catch {
    figure.remove();
    shown.details.open = true;
  }
}

/** `states` by the components' ids; those that are not named have not run. */
export function lightSteps(shown, states, about) {
  const { isRunning, at, steps } = about;
  shown.states = states;
  shown.seconds = new Map((steps ?? []).map(({ id, seconds }) => [id, seconds]));
  const last = Object.keys(states).length ? join("The last answer", at && writeMoment(at)) : NOTHING;
  shown.about.textContent = isRunning ? "A message is being answered." : last;
  light(shown);
}

function light({ rows, drawn, states, seconds }) {
  for (const [id, { element, state }] of rows) {
    const now = states[id] ?? "";
    const spent = now === "done" || now === "failed" ? writeSeconds(seconds?.get(id)) : "";
    state.textContent = now ? [STATES[now], spent].filter(Boolean).join(" · ") : "";
    element.dataset.state = now;
    const node = drawn?.get(id);
    if (node) node.dataset.state = now;
  }
}

/** What comes back has `element`, and `goTo(line)`, which shows a line. */
export function drawFile({ name, note, count: lines, parts, mistakes, more }) {
  const rows = new Map();
  const byLine = Map.groupBy(mistakes, ({ line }) => line);
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
  rows.set(number, row);
  return [row, ...mistakes.map(drawMistake)];
}

function drawMistake({ column, text, hint, is_warning: isWarning }) {
  const said = make("span", {}, ...writeSentence(text), hint ? " " : null, ...(hint ? writeSentence(hint) : []));
  return make("div", { class: "fg-wrong", role: "note", "data-kind": isWarning ? "warning" : "mistake", "aria-label": `${isWarning ? "Warning" : "Mistake"} at column ${column}` }, icon("alert"), said);
}

const drawGap = (lines) => make("div", { class: "fg-gap" }, `… ${count(lines, "line")} left out …`);

function showLine(box, row) {
  if (!row) return;
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
  for (const { start, lines } of parts) {
    const whole = make("code", {}, lines.join("\n"));
    await colour(whole, "yaml");
    const cut = cutLines(whole);
    lines.forEach((line, place) => {
      const code = rows.get(start + place).firstElementChild;
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
        walk(child, (text) => wrap(make("span", { class: child.className }, text)));
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
