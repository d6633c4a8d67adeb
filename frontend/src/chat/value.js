// @ts-check
/** A value that is no text: records as a table, data as JSON, files as a list. */

import { colour } from "../code.js";
import { count, make, makeCopyButton, readJson } from "../dom.js";
import { drawSent } from "./files.js";

/** Rows that are drawn at first, and at most once all are wanted. */
const FIRST = 200, MOST = 5_000;
const MOST_COLUMNS = 50;
const CELL = 500;
/** Letters of JSON that are shown; a file of it has all. */
const LONGEST = 200_000;

/** Numbers that JavaScript cannot hold, or writes otherwise, as they were written; a browser of 2024 tells no `source`. */
const { rawJSON, isRawJSON = () => false } = /** @type {any} */ (JSON);

/** `{"records": […]}` → `{kind, value}`. */
export function readValue(written) {
  const [[kind, value]] = Object.entries(JSON.parse(written, keepNumbers));
  return { kind, value };
}

function keepNumbers(_, value, context) {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && String(value) !== source ? rawJSON(source) : value;
}

/** What a step gave as text, where that is JSON of an object or a list; else null. */
export function findValue(text) {
  const value = /^\s*[[{]/.test(text) ? readJson(text, keepNumbers) : null; // may be cut in its middle, or only look like it
  return value && { kind: isRecords(value) ? "records" : "data", value };
}

/** `name` is that of a file of it; an answer has a way to be copied already. Whoever decides by it sees all of it, written
 * by `spell`. */
export function drawValue({ kind, value }, { name = "value", hasCopy = false, address = null, spell = null } = {}) {
  if (kind === "files") return make("div", { class: "fg-value" }, drawSent(value.map(readFile), address));
  return kind === "records" && isRecords(value) && !spell ? drawTable(value, name) : drawData(value, { name, hasCopy, spell });
}

const readFile = ({ id, name, media_type: type, size }) => ({ id, name, type, size });
const isPlain = (value) => value !== null && typeof value === "object" && !isRawJSON(value);
const isRecords = (value) => Array.isArray(value) && value.length > 0 && value.every((one) => isPlain(one) && !Array.isArray(one));

function drawTable(records, name) {
  const columns = [...new Set(records.slice(0, MOST).flatMap((record) => Object.keys(record)))];
  const shown = columns.slice(0, MOST_COLUMNS);
  const body = make("tbody");
  const add = (from, to) => records.slice(from, to).forEach((record) => body.append(make("tr", {}, ...shown.map((column) => drawCell(record, column)))));
  add(0, FIRST);
  const head = make("thead", {}, make("tr", {}, ...shown.map((column) => make("th", { scope: "col", class: isNumber(findFirst(records, column)) && "fg-number" }, column))));
  const said = `${count(records.length, "row")}, ${count(columns.length, "column")}`;
  const box = make("div", { class: "fg-records", tabindex: "0", role: "region", "aria-label": `Table, ${said}` }, make("table", {}, head, body));
  const total = records.length.toLocaleString("en"), label = records.length > MOST ? `Show ${MOST.toLocaleString("en")} of ${total}` : `Show all ${total}`;
  const click = () => {
    add(FIRST, MOST);
    if (document.activeElement === more) box.focus({ preventScroll: true });
    more.remove();
  };
  const more = records.length > FIRST ? make("button", { type: "button", class: "fg-way fg-more", click }, label) : null;
  const left = columns.length > shown.length ? `, of which the first ${MOST_COLUMNS} are shown` : "";
  const bar = make("div", { class: "fg-value-bar" }, make("span", { class: "fg-figures" }, said + left), more, makeDownload("CSV", `${name}.csv`, "text/csv", () => writeTable(columns, records)), makeDownload("JSON", `${name}.json`, "application/json", () => JSON.stringify(records, null, 2)));
  return make("div", { class: "fg-value" }, box, bar);
}

const isNumber = (value) => typeof value === "number" || isRawJSON(value);
const findFirst = (records, column) => records.find((record) => Object.hasOwn(record, column) && record[column] !== null)?.[column];

function drawCell(record, column) {
  const value = Object.hasOwn(record, column) ? record[column] : null;
  const text = writeCell(value);
  return make("td", { dir: "auto", class: isNumber(value) && "fg-number" }, text.length > CELL ? `${text.slice(0, CELL)}…` : text);
}

function writeCell(value) {
  if (value === null || value === undefined) return "";
  if (isRawJSON(value)) return value.rawJSON;
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
  const click = () => {
    const href = URL.createObjectURL(new Blob([write()], { type }));
    make("a", { href, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  };
  return make("button", { type: "button", class: "fg-way", "aria-label": `Download as ${label}`, click }, label);
}

function drawData(value, { name, hasCopy, spell }) {
  const written = JSON.stringify(value, null, 2);
  const shown = spell ? written.replace(/\S[^\n]*/g, (line) => spell(line)) : written.length > LONGEST ? `${written.slice(0, LONGEST)}…` : written;
  const code = make("pre", { class: "fg-step-text fg-data", tabindex: "0", role: "group", "aria-label": "JSON", dir: "ltr" }, shown);
  colour(code, "json");
  const copy = hasCopy ? makeCopyButton("Copy as JSON", () => written) : null;
  const bar = make("div", { class: "fg-value-bar" }, copy, makeDownload("JSON", `${name}.json`, "application/json", () => written));
  return make("div", { class: "fg-value" }, code, bar);
}
