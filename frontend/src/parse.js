/** Markdown to a tree: micromark with GitHub's additions, no raw HTML, formulas lifted out before, bounded work. */

import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";
import { lift } from "./maths.js";

const SETTINGS = {
  extensions: [gfm(), { disable: { null: ["htmlFlow", "htmlText"] } }],
  mdastExtensions: [gfmFromMarkdown()],
};
/** A mark that begins something, and has no end in what is left of its text. */
const OPEN_MARK = /(^|[\s([{"'“‘])(?:\*{1,3}|`+)(?=\S|$)([^*`]*)$/;

/** Blocks of `text` in order, each `{node, start, end, place}` by places in `text`; `prefix` is read before it and left out.
 * `isCut`: it may go on, or would have, so a mark without an end is not shown at its end. */
export function parse(text, { prefix = "", isGrowing = false, isCut = isGrowing } = {}) {
  const lifted = lift(text, isGrowing);
  const source = prefix + lifted.text;
  const place = (offset) => lifted.place(Math.max(0, offset - prefix.length));
  const blocks = [];
  for (const node of fromMarkdown(source, SETTINGS).children) {
    const { start, end } = node.position;
    if (end.offset > prefix.length) blocks.push({ node, start: place(start.offset), end: place(end.offset), place });
  }
  return { blocks, lifted, near: findAddresses(blocks, lifted), isHidden: isCut && hideMark(blocks.at(-1)?.node) };
}

/** Takes away the mark that is left open at the end of the last paragraph; whether there was one. */
function hideMark(node) {
  let last = node;
  while (last?.children?.length) last = last.children.at(-1);
  const before = last?.type === "text" ? last.value : "";
  if (before) last.value = before.replace(OPEN_MARK, "$1$2");
  return Boolean(before) && last.value !== before;
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
