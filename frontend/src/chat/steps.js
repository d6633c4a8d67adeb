// @ts-check
/** The steps that made an answer, for who may see them: in the order in which they ran, each with what it took and gave,
 * and the flows that it ran. */

import { count, join, make, makeFold, writeSeconds, writeTokens } from "../dom.js";
import { drawValue, findValue } from "./value.js";

/** Characters that are kept of a step's text, as flowground/store/runs/records.py says. */
const KEPT = 2000;
const FAILED = "failed; its fallback stands for it";

/** Each component by its end. A text that stands above already is named, not repeated. */
export function drawSteps(steps, answer = "") {
  const above = new Map([[Array.from(answer).slice(0, KEPT).join(""), "The answer above."]]);
  return drawList(steps, above);
}

/** The steps of one run by when each began; a trace of a release before does not say it. */
function drawList(steps, above) {
  const known = new Map(steps.map((step) => [step.id, { ...step, name: nameApart(step, steps) }]));
  return [...known.values()].sort((one, other) => (one.at ?? 0) - (other.at ?? 0)).map((step) => drawStep(step, known, above));
}

/** Where several have one name, its id beside it. */
function nameApart({ id, name }, steps) {
  return steps.some((other) => other.id !== id && other.name === name) && id !== name ? `${name} (${id})` : name;
}

function drawStep(step, known, above) {
  const { name, seconds, model, tokens, text, status = "done" } = step;
  const isSkipped = status === "skipped";
  const spent = isSkipped ? [] : [writeSeconds(seconds), model, writeTokens(tokens)];
  const facts = join(isSkipped ? "skipped" : status === "failed" ? FAILED : "", ...spent);
  const said = text ? above.get(text) ?? null : null;
  if (text && !said) above.set(text, `The same as ${name}.`);
  const given = { class: "fg-step", "aria-label": name, "data-status": status, open: status === "failed" || Boolean(step.note) };
  return makeFold(given, drawHead(name, facts), () => [make("div", { class: "fg-step-body" }, ...drawInside(step, known, said))]);
}

const drawHead = (title, facts) => [make("strong", {}, title), " ", make("span", { class: "fg-figures" }, facts)];

function drawInside(step, known, said) {
  const { takes = [], text, status, note, inner = [], inner_count: runs = 0 } = step;
  const why = status === "skipped" ? [make("p", { class: "fg-mark" }, explainSkip(takes, known))] : [];
  const taken = status === "skipped" ? [] : takes.map((field) => drawTaken(field, known));
  const given = said ? make("p", { class: "fg-mark" }, said) : text ? drawText(text, step.name) : status === "skipped" ? null : make("p", { class: "fg-mark" }, "No output.");
  const noted = note ? make("p", { class: "fg-mark" }, note) : null;
  return [...why, noted, ...taken, given && drawPart(status === "failed" ? "Why it failed" : "Output", given), runs ? drawRuns(inner, runs) : null];
}

function drawPart(title, ...content) {
  return make("div", { class: "fg-part" }, make("p", { class: "fg-part-title" }, title), ...content);
}

/** A field as it stands in the file, and what the steps gave that it refers to. */
function drawTaken({ field, text, from }, known) {
  const sources = from.map(({ id, name }) => {
    const source = known.get(id);
    const given = source?.status === "skipped" ? "skipped" : source?.text ? null : "no output";
    const label = known.get(id)?.name ?? name ?? id;
    if (given || !source) return make("p", { class: "fg-mark" }, source ? `${label}: ${given}` : label);
    return makeFold({}, [`Value from ${label}`], () => [drawText(source.text, label)]);
  });
  return drawPart(`Input: ${field}`, text ? make("pre", { class: "fg-step-text fg-short", tabindex: "0", dir: "auto" }, text) : null, ...sources);
}

function drawText(text, name) {
  const value = findValue(text);
  return value ? drawValue(value, { name, hasCopy: true }) : make("pre", { class: "fg-step-text", tabindex: "0", dir: "auto" }, text);
}

function explainSkip(takes, known) {
  const sources = takes.flatMap(({ from }) => from);
  const needed = sources.filter(({ is_optional: isOptional }) => !isOptional);
  const skipped = needed.find(({ id }) => known.get(id)?.status === "skipped");
  const name = ({ id, name: shown }) => known.get(id)?.name ?? shown ?? id;
  if (skipped) return `Skipped, since ${name(skipped)} was skipped.`;
  if (needed.length) return `Skipped, since ${name(needed[0])} did not give ${needed[0].port}.`;
  return sources.length ? "Skipped, since nothing that it refers to ran." : "Skipped.";
}

function drawRuns(inner, runs) {
  const left = runs - inner.length;
  const rows = inner.map((run, at) => drawRun(run, at + 1, runs));
  return drawPart(count(runs, "run"), ...rows, left > 0 ? make("p", { class: "fg-mark" }, `… and ${left.toLocaleString("en")} more`) : null);
}

function drawRun({ name, seconds, error, steps }, number, runs) {
  const facts = join(error ? "failed" : "", writeSeconds(seconds), steps.length ? count(steps.length, "step") : "");
  const title = runs > 1 ? `${number}. ${name}` : name;
  const fill = () => [
    error ? make("p", { class: "fg-run-error" }, error) : null,
    steps.length ? make("div", { class: "fg-steps" }, ...drawList(steps, new Map())) : make("p", { class: "fg-mark" }, "Its steps are not kept."),
  ];
  return makeFold({ class: "fg-run", "data-status": error ? "failed" : "done" }, drawHead(title, facts), fill);
}
