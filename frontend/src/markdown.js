/** Draws what a model writes: Markdown with tables, formulas, code and diagrams, whole or while it grows. */

import { copyText } from "./copy.js";
import { Growing as Text } from "./growing.js";
import css from "./markdown.css";
import { adopt } from "./sheets.js";
import { WORDS } from "./words.js";

export { adopt, copyText, WORDS };

export class Growing extends Text {
  constructor(root, options) {
    super(root, options);
    adopt(root, css);
  }
}

/** Draws a whole text; what it returns has `done`, `text` and `drop()`. */
export function render(root, text, { messages, isCut } = {}) {
  root.replaceChildren();
  const whole = new Growing(root, { messages });
  whole.add(text);
  whole.end({ isCut });
  return whole;
}
