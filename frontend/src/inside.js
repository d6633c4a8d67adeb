// The inside of a flow as a component of the page *Inside*: its picture, and its file beside it.

import { adopt, sheet } from "./markdown.js";
import css from "./inside.css";
import { make } from "./dom.js";
import { Follower } from "./inside/follower.js";
import { drawFile } from "./inside/file.js";
import { drawSteps, lightSteps } from "./inside/steps.js";

export default function mount({ parentElement, data: [data] }) {
  for (const text of [sheet, css]) adopt(text);
  let shown = parentElement.fgInside;
  const said = JSON.stringify(data);
  if (shown?.said !== said) {
    shown?.close();
    shown = parentElement.fgInside = new Inside(parentElement, data, said);
  } else shown.repaint();
  return () => {
    shown.close();
    parentElement.fgInside = null;
  };
}

class Inside {
  constructor(parent, data, said) {
    this.said = said;
    const file = drawFile(data.file);
    this.steps = drawSteps(data, { goTo: file.goTo });
    const isAlone = !data.steps.length;
    this.root = make("div", { class: "fg-inside", "data-alone": isAlone }, isAlone ? null : this.steps.element, file.element);
    parent.append(this.root);
    this.steps.draw();
    const { flow, session } = data;
    if (flow && session) this.follower = new Follower(flow, session, (states, about) => lightSteps(this.steps, states, about));
  }

  /** The theme may be another one. */
  repaint() {
    this.steps.draw();
  }

  close() {
    this.follower?.close();
    this.root.remove();
  }
}
