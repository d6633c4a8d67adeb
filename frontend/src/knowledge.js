// @ts-check
/** Files that an author adds to a knowledge: a place to drop them on, and those that are on their way. */

import baseCss from "./base.css";
import css from "./knowledge.css";
import filesCss from "./files.css";
import { Added } from "./chat/files.js";
import { adopt, icon, make } from "./dom.js";

export default function mount({ parentElement, data: [data], setTriggerValue }) {
  for (const text of [baseCss, filesCss, css]) adopt(text);
  const shown = (parentElement.fgAdding ??= new Adding(parentElement));
  shown.show(data, setTriggerValue);
  return () => {
    shown.close();
    parentElement.fgAdding = null;
  };
}

class Adding {
  constructor(parent) {
    this.data = this.trigger = null;
    const speak = (text) => (this.spoken.textContent = text);
    const address = (_, asked) => `/file/knowledge?${new URLSearchParams({ flow: this.data.flow, knowledge: this.data.knowledge, ...asked })}`;
    this.added = new Added({ changeFiles: () => this.change(), warn: speak, speak, address }, { holder: "knowledge" });
    this.count = 0;
    this.says = make("p", { class: "fg-figures" });
    this.spoken = make("p", { class: "fg-unseen", role: "status" });
    const button = make("button", { type: "button", class: "fg-choose", click: () => this.added.picker.click() }, icon("attach"), "Add files");
    const zone = { class: "fg-zone", dragover: (event) => this.hover(event, true), dragleave: (event) => this.hover(event, false), drop: (event) => this.drop(event) };
    this.zone = make("div", zone, this.added.picker, button, this.says);
    this.root = make("div", { class: "fg-adding" }, this.zone, this.added.element, this.spoken);
    parent.append(this.root);
  }

  /** `data` has `flow`, `knowledge`, `accept`, `bytes`, `most` and `says`; `trigger` tells the page what came. */
  show(data, trigger) {
    this.data = data;
    this.trigger = trigger;
    this.added.describe(data);
    this.says.textContent = data.says;
  }

  /** Those that are there leave this list: the page has them in its own, once none is on its way. */
  change() {
    const there = this.added.items.filter(({ state }) => state === "there");
    for (const item of there) this.added.drop(item);
    this.count += there.length;
    if (!this.count || this.added.isBusy) return;
    this.trigger("added", this.count);
    this.count = 0;
  }

  hover(event, isOver) {
    event.preventDefault();
    this.zone.toggleAttribute("data-over", isOver);
  }

  drop(event) {
    this.hover(event, false);
    this.added.add([...event.dataTransfer.files]);
  }

  close() {
    this.added.clear();
    this.root.remove();
  }
}
