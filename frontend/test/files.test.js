/** Files of the message that is being written, without a browser and a server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";

URL.createObjectURL = () => "blob:picture";
URL.revokeObjectURL = () => {};

const { Added, drawSent, nameKind } = await import("../src/chat/files.js");

const TAKES = { most: 3, bytes: 1000, accept: "image/*", says: "Add images" };
const file = (name, size = 10, type = "text/plain") => ({ name, size, type });
const address = (what, asked) => `/file/${what}?${new URLSearchParams(asked)}`;

function makeAdded(takes = TAKES) {
  const sent = [], said = [];
  const upload = (where, given, told) => sent.push({ where, given, ...told, stop: () => sent.splice(0) }) && (() => said.push("stopped"));
  const added = new Added({ changeFiles() {}, speak() {}, warn: (sentence) => said.push(sentence), address }, { upload });
  added.describe(takes);
  return { added, sent, said };
}

test("some are sent at once, and the message has those that arrived", () => {
  const { added, sent } = makeAdded({ ...TAKES, most: 9 });
  added.add(["a", "b", "c", "d"].map((name) => file(name)));
  assert.deepEqual(sent.map(({ where }) => where), ["a", "b", "c"].map((name) => `/file/upload?name=${name}`));
  assert.ok(added.isBusy);
  sent[1].end(201, { id: "1", name: "b", type: "text/plain", size: 10 });
  assert.equal(sent.length, 4);
  sent[0].end(422, { detail: "No.", hint: null });
  sent[2].end(0, {});
  sent[3].end(201, { id: "2", name: "d", type: "text/plain", size: 10 });
  assert.ok(!added.isBusy);
  assert.deepEqual(added.list().map(({ id }) => id), ["1", "2"]);
  assert.match(added.element.textContent, /No\./);
  assert.equal(added.element.querySelectorAll("[aria-label^='Add '][aria-label$=' again']").length, 1);
});

test("what is too large or too many is not sent", () => {
  const { added, sent, said } = makeAdded();
  added.add([file("large", 1001), file("a"), file("b"), file("c")]);
  assert.equal(sent.length, 2);
  assert.match(added.element.textContent, /It is over 1 kB\./);
  assert.deepEqual(said, ["A message takes 3 files at most."]);
});

test("a flow that takes none says so", () => {
  const { added, sent, said } = makeAdded({ most: 0, bytes: 0, accept: "", says: "This flow takes no files." });
  added.add([file("a")]);
  assert.deepEqual([sent.length, said], [0, ["This flow takes no files."]]);
  assert.ok(added.button.hidden);
});

test("one that is taken out is deleted on the server, and one on its way is stopped", () => {
  const { added, sent, said } = makeAdded();
  added.add([file("a"), file("b")]);
  sent[0].end(201, { id: "1", name: "a", type: "text/plain", size: 10 });
  for (const item of [...added.items]) {
    for (const one of added.items) one.element.querySelector(".fg-take-out").focus = () => {};
    added.button.focus = () => {};
    added.takeOut(item);
  }
  assert.ok(sent.some(({ where }) => where === "/file/delete?id=1"));
  assert.ok(said.includes("stopped"));
  assert.equal(added.element.childElementCount, 0);
});

test("names are text, and only pictures are shown", () => {
  const files = [
    { id: "1", name: "<img src=x>.svg", type: "image/svg+xml", size: 10 },
    { id: "2", name: "a.png", type: "image/png", size: 10 },
  ];
  const drawn = drawSent(files, address);
  assert.equal(drawn.querySelectorAll("img").length, 1);
  assert.equal(drawn.querySelector("img").getAttribute("src"), "/file/image?id=2");
  const link = drawn.querySelector("a");
  assert.deepEqual([link.getAttribute("href"), link.getAttribute("download")], ["/file/download?id=1", files[0].name]);
  assert.equal(drawSent([], address), null);
  assert.deepEqual(["a.PDF", "b", "c.tar.gz"].map(nameKind), ["PDF", "File", "GZ"]);
});
