/** Records, data and files: what is read of them, and what a file of them holds. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHTML } from "linkedom";
import { findValue, readValue, drawValue, writeTable } from "../src/chat/value.js";

const { document } = parseHTML("<!doctype html><html><body></body></html>");
globalThis.document = document;

test("what is JSON of an object or a list is a value, and nothing else", () => {
  assert.equal(findValue("plain"), null);
  assert.equal(findValue("[cut in its"), null);
  assert.equal(findValue("[1] is no JSON"), null);
  assert.equal(findValue("[]").kind, "data");
  assert.equal(findValue('{"a": 1}').kind, "data");
  assert.equal(findValue('[{"a": 1}, {"b": 2}]').kind, "records");
  assert.equal(findValue('[{"a": 1}, 2]').kind, "data");
});

test("records are a table with the columns of all of them, of many the first rows", () => {
  const records = Array.from({ length: 250 }, (_, at) => (at ? { name: `n${at}`, at } : { name: "first", extra: { a: [1] } }));
  const drawn = drawValue(readValue(JSON.stringify({ records })));
  assert.deepEqual([...drawn.querySelectorAll("th")].map((one) => one.textContent), ["name", "extra", "at"]);
  assert.equal(drawn.querySelectorAll("tbody tr").length, 200);
  assert.equal(drawn.querySelector("tbody tr").textContent, 'first{"a":[1]}');
  const more = drawn.querySelector(".fg-more");
  assert.equal(more.textContent, "Show all 250");
  more.click();
  assert.equal(drawn.querySelectorAll("tbody tr").length, 250);
  assert.equal(drawn.querySelector(".fg-more"), null);
});

test("nothing in a value is read as HTML, and no name of a field is taken for another thing", () => {
  const drawn = drawValue({ kind: "records", value: [{ "<b>": "<img src=x onerror=1>", ["__proto__x"]: 1 }, JSON.parse('{"constructor": 2}')] });
  assert.equal(drawn.querySelector("img, td b"), null);
  assert.deepEqual([...drawn.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent)), [["<img src=x onerror=1>", "1", ""], ["", "", "2"]]);
});

test("data is JSON as it was written, and much of it is cut", () => {
  const drawn = drawValue({ kind: "data", value: { a: [1, null], html: "<b>" } });
  assert.equal(drawn.querySelector("pre").textContent, '{\n  "a": [\n    1,\n    null\n  ],\n  "html": "<b>"\n}');
  const long = drawValue({ kind: "data", value: ["x".repeat(300_000)] }).querySelector("pre").textContent;
  assert.equal(long.length, 200_001);
});

test("who is asked about a call sees all of it, also of many records", () => {
  const records = Array.from({ length: 20_000 }, (_, at) => ({ at }));
  const drawn = drawValue({ kind: "records", value: records }, { spell: (text) => text });
  assert.deepEqual(JSON.parse(drawn.querySelector("pre").textContent), records);
});

test("files have their names and sizes", () => {
  const value = [{ id: "1", name: "a.pdf", media_type: "application/pdf", size: 2_000_000, sha256: "x" }];
  const drawn = drawValue({ kind: "files", value }, { address: () => "" });
  assert.equal(drawn.querySelector("li").textContent, "a.pdfPDF · 2 MB");
});

test("a file of records is read by spreadsheets, and none of its cells is a formula", () => {
  const written = writeTable(["a", "b"], [{ a: '=1+"2"', b: -3 }, { a: "two\nlines", b: "-x" }, { a: " @sum" }]);
  assert.equal(written, '\ufeff"a","b"\r\n"\'=1+""2""","-3"\r\n"two\nlines","\'-x"\r\n" \'@sum",""\r\n');
  assert.ok(writeTable(["a"], [{ a: "x;=1+1;y" }]).includes('"x;\'=1+1;y"'), "other programs take another character between cells");
});
