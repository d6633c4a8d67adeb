/** The parts of a text: its blocks, but the items of a list and the rows of a table one by one. */

import { Drawing, drawItem, drawRow, isLoose, makeList, makeTable } from "./draw.js";

/** Parts in order. `within`: the list or table that the text goes on with. */
export function cutParts({ blocks, lifted, isHidden }, { pending, within }) {
  const parts = [];
  const open = lifted.found.find((one) => one.value === null)?.start ?? Infinity;
  const push = (part) => {
    part.source = pending.slice(part.start, part.end);
    part.lifted = lifted;
    part.isGrowing = part.end > open;
    parts.push(part);
  };
  blocks.forEach(({ node, start, end, place }, block) => {
    const goesOn = block === 0 && within;
    if (node.type === "list") cutList(node, { block, place, pending }).forEach(push);
    else if (node.type === "table") cutTable(node, { block, start, place, goesOn }).forEach(push);
    else push({ kind: "block", type: node.type, node, start: findLine(pending, start), end, block });
  });
  if (isHidden) parts.at(-1).isGrowing = true;
  return parts;
}

function cutList(list, { block, place, pending }) {
  const loose = isLoose(list);
  return list.children.map((node) => {
    const start = findLine(pending, place(node.position.start.offset));
    return { kind: "item", type: "list", node, list, start, end: place(node.position.end.offset), block, isLoose: loose };
  });
}

function cutTable(table, { block, start, place, goesOn }) {
  const rows = table.children.slice(1).map((node) => {
    return { kind: "row", type: "table", node, table, start: place(node.position.start.offset), end: place(node.position.end.offset), block };
  });
  if (goesOn) return rows;
  const end = rows.length ? rows[0].start : place(table.position.end.offset);
  return [{ kind: "head", type: "table", node: table.children[0], table, start, end, block }, ...rows];
}

/** The begin of the line, where only blanks stand before `at`. */
function findLine(text, at) {
  let start = at;
  while (start > 0 && (text[start - 1] === " " || text[start - 1] === "\t")) start -= 1;
  return start === 0 || text[start - 1] === "\n" ? start : at;
}

const begin = ({ parsed, ...settings }) => new Drawing({ ...settings, lifted: parsed.lifted, near: parsed.near });

export function drawPart(part, settings) {
  const drawing = begin(settings);
  if (part.kind === "item") return drawItem(drawing, part.node);
  if (part.kind === "row") return drawRow(drawing, part.node, part.table.align);
  return drawing.draw(part.node);
}

/** A new list or table in `root`: the element, and the body that its parts go into. */
export function startContainer(part, settings, root) {
  const drawing = begin(settings);
  const element = part.list ? makeList(drawing, part.list) : makeTable(drawing, part.table);
  root.append(element);
  return { element, body: part.list ? element : element.querySelector("tbody") };
}

/** The same container for what comes, and for a table a head that is read before its next rows. */
export function makeHead(part) {
  if (part.kind !== "row") return part.container;
  const marks = { left: ":-", right: "-:", center: ":-:" };
  const head = `|${"a|".repeat(part.table.align.length)}\n|${part.table.align.map((align) => marks[align] ?? "-").join("|")}|\n`;
  return { ...part.container, head };
}
