// What a screen reader hears: finished sentences of the answer that grows, and how it ended.

import { make } from "../dom.js";

const MOST = 20;

export class Speech {
  constructor() {
    this.element = make("div", { class: "fg-unseen", "aria-live": "polite", "aria-atomic": "false" });
  }

  say(sentence) {
    if (!sentence) return;
    while (this.element.childElementCount >= MOST) this.element.firstElementChild.remove();
    this.element.append(make("p", {}, sentence));
  }
}
