// The flow as a picture and as a list; in both is shown what its steps are at.

import { make } from "../dom.js";
import { join, writeMoment, writeSeconds } from "../chat/words.js";
import { makePicture } from "../pictures.js";

const STATES = { running: "Running", done: "Done", skipped: "Skipped", failed: "Failed" };
/** A picture is made so much smaller at most, to fit; then one scrolls. */
const SMALLEST = 0.7;
const NOTHING = "Send a message in the chat to watch the steps run here.";

/** What is known of components by their ids; these may be called `constructor` or `__proto__`, as what every object has. */
export const keepById = (entries = []) => Object.assign(Object.create(null), Object.fromEntries(entries));

/** `goTo(line)` shows a line of the file. What comes back has `element`, and `draw()`, which paints the picture anew. */
export function drawSteps({ picture, says, steps }, { goTo }) {
  const about = make("p", { class: "fg-about", role: "status" }, NOTHING);
  const figure = make("div", { class: "fg-figure", tabindex: "0", role: "img", "aria-label": `The flow as a picture: ${steps.map(({ label }) => label).join(", ")}` });
  const rows = new Map(steps.map((step) => [step.id, drawRow(step, goTo)]));
  const list = make("ol", { class: "fg-steps-list" }, ...[...rows.values()].map(({ element }) => element));
  const details = make("details", { open: !picture }, make("summary", {}, "Steps as a list"), list);
  const parts = [says && make("p", { class: "fg-says" }, says), picture && figure, about, details];
  const element = make("section", { class: "fg-flow", "aria-label": "Steps" }, ...parts.filter(Boolean));
  const shown = { element, figure, about, details, rows, steps, states: keepById() };
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
    const [, , width] = (picture.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
    picture.style.maxWidth = "100%";
    if (width > 0) picture.style.minWidth = `${Math.ceil(width * SMALLEST)}px`;
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
