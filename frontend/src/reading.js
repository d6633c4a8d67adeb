// @ts-check
/** A shared chat as its readers see it: the messages of one page, with no field to write in. */

import baseCss from "./base.css";
import css from "./reading.css";
import { adopt, make } from "./dom.js";
import { Sources, render, sheet } from "./markdown.js";

export default function mount({ parentElement, data: [data] }) {
  for (const text of [baseCss, sheet, css]) adopt(text);
  const log = (parentElement.fgReading ??= make("div", { class: "fg-read", role: "log", "aria-live": "off", "aria-label": "Conversation" }));
  parentElement.append(log);
  log.replaceChildren(...data.messages.map((message) => (message.role === "user" ? drawQuestion(message, data.by) : drawAnswer(message, data.name))));
}

const drawQuestion = ({ text }, by) => make("article", { class: "fg-read-you", "aria-label": by }, make("div", { dir: "auto" }, text));

function drawAnswer({ text, mark, citations, sources: looked }, name) {
  const body = make("div", { dir: "auto" }), sources = new Sources();
  if (text.trim()) {
    sources.show(citations, looked);
    render(body, text, { sources });
  }
  return make("article", { class: "fg-read-flow", "aria-label": name }, body, sources.element, mark ? make("p", { class: "fg-read-mark" }, mark) : null);
}
