// @ts-check
/** A block of code: its language, buttons to copy it and to wrap its lines, and its colours once it is finished. */

import { copyAndTell, make } from "./dom.js";
import { drawDiagram } from "./pictures.js";

const FAILED = "Copying did not work. Select the text and copy it by keyboard.";
const MOST_COLOURED = 60_000;
const LONGEST_LINE = 2_000;
/** What people call a language otherwise than by the word after the fence, its first letter large. */
const NAMES = {
  "c#": "C#", "c++": "C++", conf: "INI", cpp: "C++", cs: "C#", csharp: "C#", css: "CSS", docker: "Dockerfile", golang: "Go", graphql: "GraphQL", hs: "Haskell",
  html: "HTML", http: "HTTP", ini: "INI", javascript: "JavaScript", jl: "Julia", js: "JavaScript", json: "JSON", jsx: "JavaScript", kt: "Kotlin", latex: "LaTeX",
  make: "Makefile", md: "Markdown", mjs: "JavaScript", patch: "Diff", php: "PHP", pl: "Perl", plain: "", plaintext: "", powershell: "PowerShell", ps1: "PowerShell", pwsh: "PowerShell",
  py: "Python", python3: "Python", rb: "Ruby", rs: "Rust", scss: "SCSS", sh: "Bash", sql: "SQL", svg: "SVG", tex: "LaTeX", text: "", toml: "TOML", ts: "TypeScript",
  tsx: "TypeScript", txt: "", typescript: "TypeScript", xml: "XML", yaml: "YAML", yml: "YAML", zsh: "Bash",
};

function nameLanguage(word) {
  const written = word.toLowerCase();
  return Object.hasOwn(NAMES, written) ? NAMES[written] : word.charAt(0).toUpperCase() + word.slice(1);
}

/** @param {string} text  @param {string} language the first word after the fence */
export function drawCode(text, language) {
  const shown = nameLanguage(language), code = make("code", {}, text);
  const scroll = make("pre", { class: "fg-scroll", tabindex: "0", role: "group", dir: "ltr", "aria-label": shown ? `Code, ${shown}` : "Code" }, code);
  const said = make("span", { class: "fg-said fg-unseen", role: "status" });
  const copy = make("button", { type: "button", class: "fg-button fg-copy", click: () => copyAndTell(copy, code.textContent, tell) }, "Copy");
  const wrap = make("button", { type: "button", class: "fg-button fg-wrap", "aria-pressed": "false", click: () => press() }, "Wrap lines");
  const tell = (isCopied) => {
    copy.textContent = isCopied ? "Copied" : "Copy";
    said.textContent = isCopied === null ? "" : isCopied ? "Copied" : FAILED;
    said.classList.toggle("fg-unseen", isCopied !== false);
  };
  const press = () => wrap.setAttribute("aria-pressed", String(figure.classList.toggle("fg-wrapped")));
  const bar = make("div", { class: "fg-code-bar" }, make("span", { class: "fg-code-language" }, shown), wrap, copy, said);
  const figure = make("div", { class: "fg-code", "data-language": language || null }, bar, scroll);
  return figure;
}

/** The code is whole: colours, or the picture that it describes. Neither can fail the page: the letters stay. */
export function finishCode(figure) {
  if (figure.dataset.finished) return;
  figure.dataset.finished = "yes";
  const language = figure.dataset.language ?? "";
  if (/^mermaid$/i.test(language)) drawDiagram(figure);
  else if (language) colour(figure.querySelector("code"), language);
}

/** By highlight.js, which is loaded when the first code comes. It escapes what it is given, and makes spans alone. */
export async function colour(code, language) {
  const text = code.textContent;
  if (text.length > MOST_COLOURED || text.split("\n").some((line) => line.length > LONGEST_LINE)) return;
  const { default: highlighter } = await import("./grammars.js").catch(() => ({ default: null })); // readable without
  if (!highlighter?.getLanguage(language)) return;
  const drawn = make("code");
  drawn.innerHTML = highlighter.highlight(text, { language, ignoreIllegals: true }).value;
  if (drawn.textContent === text && !drawn.querySelector(":not(span)")) code.replaceChildren(...drawn.childNodes);
}
