/** Marks that cite passages, and the passages below an answer. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Sources, document, grow } from "./page.js";

const LEAVE = { number: 1, text: "Thirty days.", source: "handbook/leave.txt", title: "Leave" };
const TRAVEL = { number: 2, text: "Lyon costs <b>120</b> euros.", source: "handbook/travel.pdf", page: 3 };

async function answer(pieces, passages = [LEAVE, TRAVEL]) {
  const sources = new Sources();
  sources.add(passages);
  const { root } = await grow(pieces, { sources });
  return { root, sources, marks: [...root.querySelectorAll(".fg-cite")] };
}

test("numbers of passages are buttons, and all else stays text", async () => {
  const { root, marks } = await answer(["Thirty days [1], and more [1, 2][^2]. Not [3], `a[1]`, [1](https://a.test) or x[0].\n\n- a [2]\n"]);
  assert.deepEqual(marks.map((mark) => mark.textContent), ["1", "1", "2", "2", "2"]);
  assert.equal(root.textContent.includes("Not [3], a[1], 1 or x[0]."), true);
  assert.equal(marks[2].getAttribute("aria-label"), "Source 2: handbook/travel.pdf, page 3");
});

test("a number that is half a passage and half none shows both", async () => {
  const { root, marks } = await answer(["So it is [2, 7]."]);
  assert.deepEqual(marks.map((mark) => mark.textContent), ["2"]);
  assert.equal(root.textContent, "So it is 2[7].");
});

test("a mark that comes in two pieces is one", async () => {
  const { marks } = await answer(["Thirty days [", "1", "] a year."]);
  assert.deepEqual(marks.map((mark) => mark.textContent), ["1"]);
});

test("a mark opens its passage, which is text, and Escape leads back", async () => {
  const { sources, marks } = await answer(["Lyon [2]."]);
  const item = [...sources.element.querySelectorAll("details")][1];
  assert.equal(item.querySelector("summary").textContent, "2handbook/travel.pdfpage 3");
  assert.equal(sources.element.querySelector("summary").textContent, "1Leavehandbook/leave.txt");
  assert.equal(item.querySelector(".fg-passage"), null);
  marks[0].dispatchEvent(new document.defaultView.Event("click"));
  assert.equal(item.open, true);
  assert.equal(item.querySelector(".fg-passage").textContent, TRAVEL.text);
  assert.equal(item.querySelector("b"), null);
});

test("a row has the headings and the end of the path, the whole of which is its tooltip", () => {
  const sources = new Sources();
  sources.add([{ number: 3, text: "", source: "knowledge/handbook/old/leave.html", title: "Leave › Sick leave" }]);
  const row = sources.element.querySelector("summary");
  assert.equal(row.textContent, "3Leave › Sick leaveold/leave.html");
  assert.equal(row.getAttribute("title"), "knowledge/handbook/old/leave.html");
});

test("headings of pages and documents have no marks, and nothing else of them is Markdown", () => {
  for (const [name, drawn] of [["a.html", ["Leave", "Sick"]], ["a.docx", ["Leave", "Sick"]], ["a.txt", []]]) {
    const sources = new Sources();
    sources.add([{ number: 1, text: "# Leave\n\n5 * 3 #1 <b>x</b>\n## Sick\nCall.", source: name }]);
    sources.open(1, null);
    const body = sources.element.querySelector(".fg-passage");
    assert.deepEqual([...body.querySelectorAll("strong")].map((one) => one.textContent), drawn);
    assert.equal(body.textContent, drawn.length ? "Leave\n\n5 * 3 #1 <b>x</b>\nSick\nCall." : "# Leave\n\n5 * 3 #1 <b>x</b>\n## Sick\nCall.");
  }
});

test("a passage of a page of the web has its title, its host and a link that opens apart", async () => {
  const page = { number: 1, text: "Lyon", source: "https://docs.example.com/travel?a=1", title: "Travel › Hotels" };
  const draw = async (passage) => {
    const { sources, marks } = await answer(["Lyon [1]."], [passage]);
    marks[0].dispatchEvent(new document.defaultView.Event("click"));
    return sources.element;
  };
  const element = await draw(page);
  assert.equal(element.querySelector("summary").textContent, "1Travel › Hotelsdocs.example.com");
  const link = element.querySelector("a");
  assert.deepEqual(["href", "target", "rel"].map((name) => link.getAttribute(name)), [page.source, "_blank", "noreferrer noopener"]);
  assert.equal(link.textContent, page.source);
  for (const source of ["javascript:alert(1)", "https:/a.md", "mailto:a@b.c", "//a.example/x", "https://"]) {
    assert.equal((await draw({ ...page, source })).querySelector("a"), null, source);
  }
});

test("passages stand in the order of their numbers, however they came", () => {
  const sources = new Sources();
  assert.equal(sources.element.hidden, true);
  sources.add([TRAVEL]);
  sources.add([LEAVE, TRAVEL]);
  assert.deepEqual([...sources.element.querySelectorAll(".fg-number")].map((one) => one.textContent), ["1", "2"]);
  assert.equal(sources.show([LEAVE, TRAVEL]), true);
  assert.equal(sources.show([]), false);
  assert.equal(sources.element.hidden, true);
});

test("what is looked up and not cited is folded below, and leaves the fold once it is cited", () => {
  const sources = new Sources();
  const read = () => [
    [...sources.element.children].filter((item) => item !== sources.fold).map((item) => item.querySelector(".fg-number").textContent),
    sources.fold.hidden ? "" : sources.head.textContent,
  ];
  sources.look([LEAVE, TRAVEL]);
  sources.look([LEAVE]);
  assert.deepEqual([sources.element.hidden, Boolean(sources.fold.open), read()], [false, false, [[], "2 sources"]]);
  const row = sources.fold.children[2];
  sources.add([TRAVEL]);
  assert.deepEqual(read(), [["2"], "1 more source"]);
  assert.ok(sources.element.firstChild === row && row.nextSibling === sources.fold);
  assert.equal(sources.show([TRAVEL], [LEAVE]), true);
  assert.deepEqual(read(), [["2"], "1 more source"]);
  assert.equal(sources.show([LEAVE], []), false);
  assert.deepEqual([read(), sources.element.querySelectorAll("details").length], [[["1"], ""], 2]);
});
