// A model that is being fetched for an answer.

import { make } from "../dom.js";
import { join, roundSeconds, writeSize } from "./words.js";

/** Bytes of the total, and the time left; at the end, that the file is checked and loaded. */
export function drawProgress({ model = "the model", received, total, seconds_left: left }) {
  const isWhole = total > 0 && received >= total;
  const amount = total ? `${writeSize(received)} of ${writeSize(total)}` : writeSize(received);
  const text = isWhole ? `Starting ${model}` : join(`Fetching ${model}`, amount, left == null ? "" : `${roundSeconds(left)} left`);
  const bar = make("progress", { "aria-label": text, max: total || 1 });
  if (total) bar.value = Math.min(received, total);
  return make("div", { class: "fg-progress" }, make("p", { class: "fg-figures" }, text), bar);
}
