// What only some see of an answer: the steps that made it, and a model that is being fetched for it.

import { make } from "./dom.js";
import { join, roundSeconds, writeSeconds, writeSize, writeTokens } from "./words.js";

/** Characters that are kept of a step's text, as flowground/store/runs/records.py says. */
const KEPT = 2000;

const ENDS = { skipped: "skipped", failed: "failed; its fallback stands for it" };

/** Each component, what it took and what it gave. A text that stands above already is named, not repeated. */
export function drawSteps(steps, answer = "") {
  const above = new Map([[Array.from(answer).slice(0, KEPT).join(""), "The answer above."]]);
  return steps.map(({ name, seconds, model, tokens, text, status }) => {
    const spent = status === "skipped" ? [] : [writeSeconds(seconds), model, writeTokens(tokens)];
    const facts = join(ENDS[status], ...spent);
    const head = make("p", { class: "fg-step-head" }, make("strong", {}, name), " ", make("span", { class: "fg-figures" }, facts));
    const said = text && above.get(text);
    if (text && !said) above.set(text, `The same as ${name}.`);
    const given = said ? make("p", { class: "fg-mark" }, said) : text ? make("pre", { class: "fg-step-text", tabindex: "0", dir: "auto" }, text) : null;
    return make("section", { class: "fg-step", "aria-label": name, "data-status": status ?? "done" }, head, given);
  });
}

/** Bytes of the total, and the time left; at the end, that the file is checked and loaded. */
export function drawProgress({ model = "the model", received, total, seconds_left: left }) {
  const isWhole = total > 0 && received >= total;
  const amount = total ? `${writeSize(received)} of ${writeSize(total)}` : writeSize(received);
  const text = isWhole ? `Starting ${model}` : join(`Fetching ${model}`, amount, left == null ? "" : `${roundSeconds(left)} left`);
  const bar = make("progress", { "aria-label": text, max: total || 1 });
  if (total) bar.value = Math.min(received, total);
  return make("div", { class: "fg-progress" }, make("p", { class: "fg-figures" }, text), bar);
}
