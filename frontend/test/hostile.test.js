/** What was written to hurt: nothing runs, nothing is loaded, nobody waits, and the letters are there. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { clean } from "../src/pictures.js";
import { document, draw, grow } from "./page.js";

const LENGTH = 24_000;
const fill = (piece) => piece.repeat(Math.ceil(LENGTH / piece.length)).slice(0, LENGTH);
const count = (most, make) => Array.from({ length: most }, (_, at) => make(at)).join("");

const NASTY = {
  "runs of backticks": count(280, (at) => "`".repeat(at + 1) + "a"), "backticks apart": fill("`a"), "open brackets": fill("!["), "half links": fill("[a]("),
  "stars apart": fill("*a "), "stars on both sides": fill("a**b"), underscores: fill("_a_"), tildes: fill("~a~~"), "emphasis in emphasis": fill("**a *b "),
  dollars: fill("$$a"), "single dollars": fill("$a "), "formulas without an end": fill("\\[ a\n"), "round formulas without an end": fill("\\(a "), "formulas in items": fill("$$ a\n- $$ a\n"),
  quotes: fill(">"), "quotes apart": fill("> "), "items in items": fill("- "), "numbers in numbers": fill("1. "), lines: fill("a\n"), "lazy lines": `> ${fill("a\n")}`,
  tables: fill("|a|\n|-|\n"), "a wide table": `${"|a".repeat(6_000)}|\n${"|-".repeat(6_000)}|\n${"|b".repeat(6_000)}|\n`, names: fill("[a\n"),
  "many names": count(1_500, (at) => `[x${at}]: https://a.b\n`) + count(1_500, (at) => `[x${at}] `), notes: count(1_500, (at) => `[^${at}]\n\n[^${at}]: a\n\n`),
  "one note, often": `${fill("[^1]")}\n\n[^1]: a\n`, headings: fill("# a\n"), tags: fill("<a"), backslashes: fill("\\"), addresses: fill("http://a`"), "addresses without": fill("www.a.b "),
  mails: fill("a@b.c "), "a long mail": `${fill("a.")}@b`, bars: fill("|"), rules: fill("- - -a\n"), titles: fill('[a](b "'), entities: fill("[a](&#x"),
  "a deep list": count(200, (at) => `${"  ".repeat(at)}- a\n`), "a deep quote": count(150, (at) => `${"> ".repeat(at)}a\n`), fences: fill("```\n"), tabs: `${fill("\t")}a`, blanks: `${fill(" ")}a`,
  "broken lines": fill("a  \n"), "items apart": fill("- a\n\n"), "a long item": `- a\n${fill("  b\n")}`, underlined: fill("a\n===\n"), "one word": fill("a"), "code spans": fill("`` ` ``"),
  "stand-ins of ours": fill("\uE0000\uE001"), "no characters": fill("\0\ud800"), brackets: fill("[") + fill("]"), "links in links": `${"[".repeat(1_000)}a${"](https://b.c)".repeat(1_000)}`, comments: fill("<!--"),
};

for (const [name, text] of Object.entries(NASTY)) {
  test(`${name} are drawn in time`, async () => {
    const before = process.cpuUsage();
    const { root } = await grow([text]);
    const { user } = process.cpuUsage(before);
    assert.ok(root.childNodes.length > 0);
    assert.ok(user < 5_000_000, `${user / 1_000} ms of CPU time for ${text.length} letters`);
    for (const link of root.querySelectorAll("a:not(.fg-jump)")) assert.match(link.getAttribute("href"), /^(?:https?:\/\/|mailto:)/);
    assert.equal(root.querySelectorAll("img, script, iframe, object, style").length, 0);
  });
}

test("names of words that every object has are names like others", async () => {
  const root = await draw("[constructor][__proto__] [__proto__] [^toString]\n\n```constructor\na\n```\n\n```__proto__\nb\n```\n\n[__proto__]: https://a.b\n[^toString]: c");
  assert.equal(root.querySelector("a").getAttribute("href"), "https://a.b");
  assert.deepEqual([...root.querySelectorAll(".fg-code-language")].map((one) => one.textContent), ["Constructor", "__proto__"]);
});

const FORMULAS = [
  "\\href{javascript:alert(1)}{x}", "\\url{https://evil.example}", "\\includegraphics{https://evil.example/x.png}", "\\htmlClass{fixed}{x}", "\\htmlStyle{position:fixed}{x}",
  "\\htmlData{a=b}{x}", "\\def\\a{\\a\\a}\\a", "\\def\\a#1{#1#1#1#1#1#1#1#1}\\a{\\a{\\a{\\a{\\a{x}}}}}", "\\rule{99999em}{99999em}", "</math><script>alert(1)</script>",
  "\\text{<img src=x onerror=alert(1)>}", "{".repeat(500) + "}".repeat(500), "\\frac".repeat(1_000), "\\sqrt{".repeat(200), "\\raisebox{9999em}{x}", "\\kern-9999em x",
];

for (const formula of FORMULAS) test(`a formula can do nothing but be one: ${formula.slice(0, 60)}`, async () => {
  const root = await draw(`Before\n\n$$\n${formula}\n$$\n\nafter`);
  for (let turn = 0; turn < 200 && root.querySelector("[data-formula]"); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(root.querySelectorAll("[data-formula], a, img, script, iframe, [onerror], .fixed, [data-a]").length, 0);
  for (const element of root.querySelectorAll("[style]")) {
    assert.doesNotMatch(element.getAttribute("style"), /fixed|url\(/);
    for (const [, size] of element.getAttribute("style").matchAll(/(-?[\d.]+)em/g)) assert.ok(Math.abs(size) < 60, element.getAttribute("style"));
  }
  assert.match(root.textContent, /^Before[\s\S]*after$/);
});

test("a picture holds shapes and words, and nothing that runs, loads or leads away", () => {
  const holder = document.createElement("div");
  holder.innerHTML =
    '<svg onload="alert(1)" viewBox="0 0 1 1"><script>alert(1)</script><style>@import url(https://evil.example);</style><style>.a{fill:url(https://evil.example)}</style>' +
    '<style>.b{fill:red}</style><foreignObject><b>x</b></foreignObject><image href="https://evil.example/x.png"/><a href="javascript:alert(1)"><text>one</text></a>' +
    '<a xlink:href="https://example.com"><text>two</text></a><use href="https://evil.example/#x"/><use href="#in"/><path fill="url(https://evil.example)" marker-end="url(#arrow)" onclick="alert(1)"/>' +
    '<animate attributeName="href" to="javascript:alert(1)"/><set attributeName="href" to="x"/></svg>';
  const svg = clean(holder.querySelector("svg"));
  assert.doesNotMatch(svg.outerHTML, /evil|alert|javascript|onload|onclick|foreignobject|<animate|<set|<script|<image/i);
  assert.match(svg.outerHTML, /one.*two/s);
  assert.match(svg.outerHTML, /url\(#arrow\)/);
  assert.equal(svg.querySelectorAll("style").length, 1);
  assert.throws(() => clean(document.createElement("div")));
});
