// @ts-check
/** A value that is no text: records as a table, data as a tree, files as a list. */

import { count, make, makeCopyButton, writeSize } from "../dom.js";
import { drawSent } from "./files.js";

/** Rows and entries that are drawn at first, and at most once all are wanted. */
const FIRST = 200, MOST = 5_000;
const MOST_COLUMNS = 50;
const CELL = 500;
/** Levels of a tree that are open at first, where they have few entries. */
const OPEN = 2, FEW = 12;

/** A number that JavaScript cannot hold, or writes otherwise, as it was written. */
class Exact {
  constructor(source) {
    this.source = source;
  }

  toJSON() {
    const { rawJSON } = /** @type {any} */ (JSON);
    return rawJSON ? rawJSON(this.source) : Number(this.source);
  }
}

/** `{"records": […]}` → `{kind, value}`; numbers stay as they were written, where the browser can tell. */
export function readValue(written) {
  const [[kind, value]] = Object.entries(JSON.parse(written, keepNumbers));
  return { kind, value };
}

function keepNumbers(_, value, context) {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && String(value) !== source ? new Exact(source) : value;
}

/** What a step gave as text, where that is JSON of an object or a list; else null. */
export function findValue(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    const value = JSON.parse(text, keepNumbers);
    return { kind: isRecords(value) ? "records" : "data", value };
  } catch {
    return null; // cut in its middle, or only looks like it
  }
}

/** `name` is that of a file of it; with `isOpen` nothing is folded at first; an answer has a way to be copied already. */
export function drawValue({ kind, value }, { name = "value", hasCopy = false, address = null, isOpen = false } = {}) {
  if (kind === "files") return address ? make("div", { class: "fg-value" }, drawSent(value.map(readFile), address)) : drawFiles(value);
  return kind === "records" && isRecords(value) && !isOpen ? drawTable(value, name) : drawData(value, { name, hasCopy, isOpen });
}

export const isPlain = (value) => value !== null && typeof value === "object" && !(value instanceof Exact);
const isRecords = (value) => Array.isArray(value) && value.length > 0 && value.every((one) => isPlain(one) && !Array.isArray(one));

/** A button that is there as long as not everything is drawn. */
function makeMore(total, draw) {
  const button = make("button", { type: "button", class: "fg-way fg-more" }, total > MOST ? `Show ${MOST.toLocaleString("en")} of ${total.toLocaleString("en")}` : `Show all ${total.toLocaleString("en")}`);
  button.addEventListener("click", () => {
    const had = document.activeElement === button;
    const first = draw();
    button.remove();
    if (had) first?.focus?.({ preventScroll: true });
  });
  return button;
}

// Records

function drawTable(records, name) {
  const columns = [...new Set(records.slice(0, MOST).flatMap((record) => Object.keys(record)))];
  const shown = columns.slice(0, MOST_COLUMNS);
  const body = make("tbody");
  const add = (from, to) => records.slice(from, to).forEach((record) => body.append(make("tr", {}, ...shown.map((column) => drawCell(record, column)))));
  add(0, FIRST);
  const head = make("thead", {}, make("tr", {}, ...shown.map((column) => make("th", { scope: "col", class: isNumber(findFirst(records, column)) && "fg-number" }, column))));
  const said = `${count(records.length, "row")}, ${count(columns.length, "column")}`;
  const box = make("div", { class: "fg-records", tabindex: "0", role: "region", "aria-label": `Table, ${said}` }, make("table", {}, head, body));
  const more = records.length > FIRST ? makeMore(records.length, () => (add(FIRST, MOST), box)) : null;
  const left = columns.length > shown.length ? `, of which the first ${MOST_COLUMNS} are shown` : "";
  const bar = make("div", { class: "fg-value-bar" }, make("span", { class: "fg-figures" }, said + left), more, makeDownload("CSV", `${name}.csv`, "text/csv", () => writeTable(columns, records)), makeDownload("JSON", `${name}.json`, "application/json", () => JSON.stringify(records, null, 2)));
  return make("div", { class: "fg-value" }, box, bar);
}

const isNumber = (value) => typeof value === "number" || value instanceof Exact;
const findFirst = (records, column) => records.find((record) => Object.hasOwn(record, column) && record[column] !== null)?.[column];

function drawCell(record, column) {
  const value = Object.hasOwn(record, column) ? record[column] : null;
  const text = writeCell(value);
  return make("td", { dir: "auto", class: isNumber(value) && "fg-number" }, text.length > CELL ? `${text.slice(0, CELL)}…` : text);
}

function writeCell(value) {
  if (value === null || value === undefined) return "";
  if (value instanceof Exact) return value.source;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** As spreadsheets read it; no cell is a formula. */
export function writeTable(columns, records) {
  const guard = (text) => (/^\s*-?\d+(\.\d+)?$/.test(text) ? text : text.replace(/(^|[;,])([\s"']*)(?=[=+\-@＝＋－＠])/g, "$1$2'"));
  const write = (text) => `"${guard(text).replaceAll('"', '""')}"`;
  const rows = records.map((record) => columns.map((column) => write(writeCell(Object.hasOwn(record, column) ? record[column] : null))).join(","));
  return `\ufeff${[columns.map(write).join(","), ...rows].join("\r\n")}\r\n`;
}

function makeDownload(label, file, type, write) {
  return make("button", { type: "button", class: "fg-way", "aria-label": `Download as ${label}`, click: () => download(file, type, write()) }, label);
}

function download(file, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: address, download: file, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// Data

function drawData(value, { name, hasCopy, isOpen }) {
  const tree = make("div", { class: "fg-tree" });
  tree.append(isPlain(value) ? drawBranch(null, value, isOpen ? -Infinity : 0) : drawLeaf(null, value));
  const copy = hasCopy ? makeCopyButton("Copy as JSON", () => JSON.stringify(value, null, 2)) : null;
  const bar = make("div", { class: "fg-value-bar" }, copy, makeDownload("JSON", `${name}.json`, "application/json", () => JSON.stringify(value, null, 2)));
  return make("div", { class: "fg-value" }, tree, bar);
}

/** An object or a list; what is in it is drawn when it is opened first. */
function drawBranch(key, value, depth) {
  const isList = Array.isArray(value);
  const entries = isList ? value.map((one, at) => [at, one]) : Object.entries(value);
  const said = isList ? count(entries.length, "item") : count(entries.length, "field");
  const branch = make("details", { open: depth <= 0 || (depth < OPEN && entries.length <= FEW) }, make("summary", {}, drawKey(key), make("span", { class: "fg-figures" }, isList ? `[${said}]` : `{${said}}`)));
  const fill = () => {
    if (!branch.hasAttribute("open") || branch.childElementCount > 1) return;
    const body = make("div", { class: "fg-branch" });
    const add = (from, to) => entries.slice(from, to).forEach(([name, one]) => body.append(isPlain(one) ? drawBranch(name, one, depth + 1) : drawLeaf(name, one)));
    const first = depth < 0 ? entries.length : FIRST;
    add(0, first);
    if (entries.length > first) body.append(makeMore(entries.length, () => (add(FIRST, MOST), branch.querySelector("summary"))));
    branch.append(body);
  };
  branch.addEventListener("toggle", fill);
  fill();
  return branch;
}

function drawLeaf(key, value) {
  const kind = value === null ? "null" : value instanceof Exact ? "number" : typeof value;
  const text = kind === "string" ? value : value === null ? "null" : writeCell(value);
  return make("div", { class: "fg-leaf" }, drawKey(key), make("span", { class: `fg-leaf-${kind}`, dir: "auto" }, kind === "string" && !text ? "“”" : text));
}

const drawKey = (key) => (key === null ? null : make("span", { class: "fg-key" }, typeof key === "number" ? `${key + 1}` : key));

// Files

const readFile = ({ id, name, media_type: type, size }) => ({ id, name, type, size });

function drawFiles(files) {
  const rows = files.map(({ name, size, media_type: type }) => make("li", {}, make("strong", { dir: "auto" }, name), make("span", { class: "fg-figures" }, [writeSize(size), type].filter(Boolean).join(" · "))));
  return make("ul", { class: "fg-value fg-files", "aria-label": count(files.length, "file") }, ...rows);
}
