/** Markdown to a tree: micromark with GitHub's additions, no raw HTML, formulas lifted out before, bounded work. */

import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";
import { lift } from "./maths.js";

const SETTINGS = {
  extensions: [gfm(), { disable: { null: ["htmlFlow", "htmlText"] } }],
  mdastExtensions: [gfmFromMarkdown()],
};
/** Blocks of `text` in order, each `{node, start, end, place}` by places in `text`; `prefix` is read before it and left out. */
export function parse(text, { prefix = "", isGrowing = false } = {}) {
  const lifted = lift(text, isGrowing);
  const source = prefix + lifted.text;
  const place = (offset) => lifted.place(Math.max(0, offset - prefix.length));
  const blocks = [];
  for (const node of fromMarkdown(source, SETTINGS).children) {
    const { start, end } = node.position;
    if (end.offset > prefix.length) blocks.push({ node, start: place(start.offset), end: place(end.offset), place });
  }
  return { blocks, lifted, near: findAddresses(blocks, lifted) };
}

/** Addresses by the names that the text itself gives them. */
function findAddresses(blocks, lifted) {
  const near = new Map();
  const visit = (node, depth) => {
    if (node.type === "definition" && !near.has(node.identifier)) near.set(node.identifier, lifted.restore(node.url));
    else if (["blockquote", "list", "listItem", "footnoteDefinition"].includes(node.type) && depth < 60) for (const child of node.children) visit(child, depth + 1);
  };
  for (const { node } of blocks) visit(node, 0);
  return near;
}
