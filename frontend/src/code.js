/** A block of code: its language, buttons to copy it and to wrap its lines, and its colours once it is finished. */

import { copyText } from "./copy.js";
import { drawDiagram } from "./diagram.js";
import { findGrammar, nameLanguage } from "./languages.js";

const COPIED_MS = 2_000;
const MOST_COLOURED = 60_000;
const LONGEST_LINE = 2_000;

export function drawCode(drawing, node) {
  const language = (node.lang ?? "").slice(0, 40);
  return makeCode(drawing, drawing.lifted.restore(node.value), drawing.lifted.restore(language));
}

function makeCode(drawing, text, language) {
  const { messages } = drawing;
  const code = drawing.make("code", "", text);
  const scroll = drawing.make("pre", "fg-scroll", code);
  scroll.setAttribute("tabindex", "0");
  scroll.setAttribute("role", "group");
  scroll.dir = "ltr";
  const shown = nameLanguage(language);
  scroll.setAttribute("aria-label", shown ? `${messages.code}, ${shown}` : messages.code);
  const said = drawing.make("span", "fg-said");
  said.setAttribute("role", "status");
  const copy = makeButton(drawing, "fg-copy", messages.copy);
  const wrap = makeButton(drawing, "fg-wrap", messages.wrap);
  wrap.setAttribute("aria-pressed", "false");
  const bar = drawing.make("div", "fg-code-bar", drawing.make("span", "fg-code-language", shown), wrap, copy, said);
  const figure = drawing.make("div", "fg-code", bar, scroll);
  if (language) figure.dataset.language = language;
  copy.addEventListener("click", () => answerCopy(copy, said, { text: code.textContent, messages }));
  wrap.addEventListener("click", () => wrap.setAttribute("aria-pressed", String(figure.classList.toggle("fg-wrapped"))));
  return figure;
}

function makeButton(drawing, name, text) {
  const button = drawing.make("button", `fg-button ${name}`, text);
  button.setAttribute("type", "button");
  return button;
}

async function answerCopy(button, said, { text, messages }) {
  const isCopied = await copyText(text);
  button.textContent = isCopied ? messages.copied : messages.copy;
  said.textContent = isCopied ? messages.copied : messages.failed;
  said.classList.toggle("fg-shown", !isCopied);
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = messages.copy;
    said.textContent = "";
    said.classList.remove("fg-shown");
  }, isCopied ? COPIED_MS : 3 * COPIED_MS);
}

/** The code is whole: colours, or the picture that it describes. Neither can fail the page: the letters stay. */
export function finishCode(figure, messages) {
  if (figure.dataset.finished) return;
  figure.dataset.finished = "yes";
  const language = figure.dataset.language ?? "";
  if (/^mermaid$/i.test(language)) drawDiagram(figure, messages);
  else if (language) colourCode(figure.querySelector("code"), language);
}

async function colourCode(code, language) {
  const text = code.textContent;
  if (text.length > MOST_COLOURED || text.split("\n").some((line) => line.length > LONGEST_LINE)) return;
  try {
    const grammar = await findGrammar(language);
    if (!grammar) return;
    const { colour } = await import("./colours.js");
    colour(code, text, grammar);
  } catch {
    // The colours could not be loaded: the code is readable without.
  }
}
