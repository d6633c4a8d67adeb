/** Diagrams by Mermaid, which is loaded when the first one comes. One that cannot be read stays as its code. */

import { drawPicture } from "./pictures.js";

export function drawDiagram(figure, messages) {
  return drawPicture(figure, messages).catch(() => figure.classList.add("fg-failed"));
}
