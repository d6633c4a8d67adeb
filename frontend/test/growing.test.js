import assert from "node:assert/strict";
import { test } from "node:test";
import { Growing, document, draw, grow, render, show } from "./page.js";

const PIECES = [
  "a", "b c", "\n", "\n\n", "- ", "* ", "1. ", "2. ", "> ", "    ", "  ", "`", "```", "```\n", "~~~\n", "$", "$$", "\\[", "\\]", "\\(", "\\)",
  "|", "|a|b|\n", "|-|-|\n", "---\n", "===\n", "# ", "[x]", "[x]: https://a.b\n", "[^1]", "[^1]: n\n", "**", "*", "_", "~~", "<b>",
  "![i](u)", "[l](https://c.d)", "https://e.f ", "x@y.z ", "\t", "\r\n", "\0", "😀", "\ud83d", "&amp;", "\\", "- [ ] ", "$x$", "$5 ",
  "\n$$\nx\n$$\n", "| a |\n| - |\n| b |\n",
];

/** The same numbers each time. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

test("an answer that grows ends as the same text drawn whole", async () => {
  const next = numbers(11);
  for (let round = 0; round < 400; round++) {
    const pieces = Array.from({ length: next(24) + 1 }, () => PIECES[next(PIECES.length)]);
    assert.equal(show((await grow(pieces)).root), show(await draw(pieces.join(""))), JSON.stringify(pieces));
  }
});

const LONG = {
  paragraphs: "Some words of **weight**.\n\n".repeat(400),
  list: "- one item of *many*\n".repeat(500),
  table: `| a | b |\n| - | - |\n${"| one | two |\n".repeat(700)}`,
  code: `\`\`\`python\n${"print('a line')\n".repeat(600)}\`\`\`\n`,
  "one paragraph": "word ".repeat(2_000),
  quote: "> some words\n".repeat(700),
};

for (const [name, text] of Object.entries(LONG)) {
  test(`the work grows with the text and not with its square: ${name}`, async () => {
    const work = async (part) => {
      const growing = new Growing(document.createElement("div")), { read, put } = growing, done = { read: part.length, drawn: 0 };
      growing.read = () => {
        done.read += growing.source.length - growing.closed;
        read.call(growing);
      };
      growing.put = (...given) => {
        done.drawn += 1;
        return put.apply(growing, given);
      };
      for (const piece of part.match(/[\s\S]{1,20}/g)) growing.add(piece);
      await growing.end();
      return done;
    };
    const half = await work(text.slice(0, text.length / 2)), whole = await work(text);
    assert.ok(whole.read > 0);
    assert.ok(whole.read < 3 * half.read + 20_000, `${half.read} letters read for half, ${whole.read} for all`);
    assert.ok(whole.drawn < 3 * half.drawn + 50, `${half.drawn} parts drawn for half, ${whole.drawn} for all`);
    assert.ok(whole.read < 60 * text.length, `${whole.read} letters read of ${text.length}`);
  });
}

test("finished blocks keep their elements", async () => {
  const { root, growing } = await growOpen("# One\n\nTwo\n\n- a\n- b\n- c\n");
  const before = [...root.children, ...root.querySelectorAll("li")].slice(0, -1);
  assert.equal(before.length, 5);
  growing.add("- d\n\nand more\n\n```js\nlet a\n");
  const code = root.querySelector("pre code");
  growing.add("let b\n");
  assert.equal(root.querySelector("pre code"), code);
  growing.add("```\n\nend");
  await growing.end();
  for (const element of before) assert.ok(root.contains(element));
  assert.equal(root.querySelector("pre code"), code);
  assert.equal(code.textContent, "let a\nlet b");
});

async function growOpen(text) {
  const root = document.createElement("div");
  document.body.replaceChildren(root);
  const growing = new Growing(root);
  growing.add(text);
  return { root, growing };
}

test("a name that is explained at the end is a link in the end", async () => {
  const root = await draw("See [the page][p] and a note[^n].\n\nMore.\n\n[p]: https://a.b\n[^n]: Of course.\n");
  assert.equal(root.querySelector("p a").getAttribute("href"), "https://a.b");
  assert.equal(root.querySelector("sup a").textContent, "1");
  assert.match(root.querySelector(".fg-footnotes").textContent, /Of course\./);
});

test("half a letter waits for its other half", async () => {
  const { root } = await grow(["hi \ud83d", "\ude00 ", "\ude00"]);
  assert.equal(root.textContent, "hi 😀 \uFFFD");
});

test("finished parts are said once, as plain text", async () => {
  const said = [];
  await grow(["One **two**.\n\n", "| a | b |\n|-|-|\n| c | d |\n\n", "```py\nx\ny\n```\n", "\nlast"], { onSentence: (text) => said.push(text) });
  assert.deepEqual(said, ["One two.", "c, d", "Code, Python, 2 lines", "last"]);
});

test("a large text is drawn over several turns and is whole then", async () => {
  const root = document.createElement("div");
  const { done } = render(root, "A paragraph with `code` and [a link](https://a.b).\n\n".repeat(4_000));
  assert.ok(root.childElementCount < 4_000);
  await done;
  assert.equal(root.childElementCount, 4_000);
});

test("a dropped answer stops", async () => {
  const root = document.createElement("div");
  const dropped = render(root, "b\n\n".repeat(10_000));
  dropped.drop();
  const count = root.childElementCount;
  await dropped.done;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(root.childElementCount, count);
});

test("a mark without an end is not shown while more may come, nor in an answer that was cut", async () => {
  for (const [text, shown] of [
    ["Go to **Small", "Go to Small"],
    ["Go to *", "Go to "],
    ["Run `ls -l", "Run ls -l"],
    ["- one\n- **two", "onetwo"],
    ["**a** and ***b", "a and b"],
    ["2 * 3 * 4 = ", "2 * 3 * 4 ="],
    ["5*3", "5*3"],
  ]) {
    const read = (root) => root.textContent.replaceAll(/\s+/g, " ").trimEnd();
    const { root, growing } = await growOpen(text);
    assert.equal(read(root), shown.trimEnd());
    await growing.end({ isCut: true });
    assert.equal(read(root), shown.trimEnd());
  }
});

test("a mark that never got its end is shown in the end", async () => {
  const { root, growing } = await growOpen("Go to **Small");
  growing.add(" parcels");
  assert.equal(root.textContent, "Go to Small parcels");
  growing.add("\n\nNext *one\n");
  assert.equal(root.textContent, "Go to **Small parcelsNext one");
  await growing.end();
  assert.equal(root.textContent, "Go to **Small parcelsNext *one");
});
