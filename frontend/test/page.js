/** A page without a browser, and answers drawn on it. */

import { register } from "node:module";
import { parseHTML } from "linkedom";
import { Growing } from "../src/growing.js";

/** Style sheets are nothing here; what imports one is imported after this. */
const NO_SHEETS = `export const load = (url, context, next) =>
  url.endsWith(".css") ? { format: "module", source: "export default ''", shortCircuit: true } : next(url, context);`;
register(`data:text/javascript,${encodeURIComponent(NO_SHEETS)}`);

export const { document } = parseHTML("<!doctype html><html><head></head><body></body></html>");
globalThis.document ??= document;

/** Turns of the loop until nothing waits. */
export async function settle(growing) {
  await growing.done;
}

export async function draw(text, options) {
  return (await grow([text], options)).root;
}

export async function grow(pieces, options) {
  const root = document.createElement("div");
  document.body.replaceChildren(root);
  const growing = new Growing(root, options);
  for (const piece of pieces) growing.add(piece);
  await growing.end();
  return { root, growing };
}

/** Without what colours and formulas add later, and without the numbers of this answer. */
export const show = (root) => root.innerHTML.replaceAll(/fg-\d+-note/g, "fg-note");
