/** Draws what a model writes: Markdown with tables, formulas, code and diagrams, whole or while it grows. */

import { copyText } from "./copy.js";
import { Growing as Text } from "./growing.js";
import css from "./markdown.css";
import { repaint } from "./pictures.js";
import { adopt } from "./sheets.js";
import { Sources as Passages } from "./sources.js";
import { WORDS } from "./words.js";

/** `sheet` has the colours of code, too. */
export { adopt, copyText, css as sheet, repaint, WORDS };

export class Growing extends Text {
  constructor(root, options) {
    super(root, options);
    adopt(root, css);
  }
}

/** Draws a whole text; what it returns has `done`, `text` and `drop()`. */
export function render(root, text, { messages, isCut, sources } = {}) {
  root.replaceChildren();
  const whole = new Growing(root, { messages, sources });
  whole.add(text);
  whole.end({ isCut });
  return whole;
}

/** What an answer cites, to be put below it; passages of Markdown files are drawn as such. */
export class Sources extends Passages {
  constructor() {
    super(document, { draw: render });
  }
}
