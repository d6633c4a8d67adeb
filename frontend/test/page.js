/** A page without a browser, and answers drawn on it. */

import { register } from "node:module";
import { parseHTML } from "linkedom";

/** Style sheets are nothing here. */
const NO_SHEETS = `export const load = (url, context, next) =>
  url.endsWith(".css") ? { format: "module", source: "export default ''", shortCircuit: true } : next(url, context);`;
register(`data:text/javascript,${encodeURIComponent(NO_SHEETS)}`);

export const { document } = parseHTML("<!doctype html><html><head></head><body></body></html>");
globalThis.document ??= document;
globalThis.KATEX_SHEET = "katex.css";
export const { Growing, Sources, render } = await import("../src/markdown.js");

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

/** Without what formulas get later and the numbers of this answer, attributes in one order. */
export const show = (root) =>
  root.innerHTML.replaceAll(/ data-formula="[^"]*"| fg-failed/g, "").replaceAll(/fg-\d+-note/g, "fg-note").replaceAll(/<(\w+)((?: [\w-]+="[^"]*")+)/g, (_, tag, given) => `<${tag}${given.match(/ [\w-]+="[^"]*"/g).sort().join("")}`);
