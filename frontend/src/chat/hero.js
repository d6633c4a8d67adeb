// The middle of an empty conversation, and the ways out of a closed one.

import { render } from "../markdown.js";
import { icon, make } from "./dom.js";

export class Hero {
  constructor(say) {
    this.say = say;
    this.mark = make("div", { class: "fg-hero-icon", "aria-hidden": "true" });
    this.title = make("p", { class: "fg-hero-title" });
    this.welcome = make("div", { class: "fg-hero-welcome", dir: "auto" });
    this.starters = make("div", { class: "fg-starters", role: "group", "aria-label": "Suggestions" });
    this.element = make("div", { class: "fg-hero" }, this.mark, this.title, this.welcome, this.starters);
  }

  describe({ icon: sign, title, welcome, starters, mode }) {
    const told = JSON.stringify([sign, title, welcome, starters]);
    if (told === this.told) return;
    this.told = told;
    this.mark.replaceChildren(sign || icon("flow"));
    this.title.textContent = title;
    this.mark.hidden = this.title.hidden = mode === "form";
    if (welcome) render(this.welcome, welcome, {});
    else this.welcome.replaceChildren();
    const click = (event) => this.say(event.currentTarget.textContent);
    this.starters.replaceChildren(...starters.map((text) => make("button", { type: "button", class: "fg-starter", dir: "auto", click }, text)));
    this.starters.hidden = !starters.length;
  }

  setOff(isOff) {
    for (const button of this.starters.children) button.disabled = isOff;
  }
}

/** Behind the sentence that says why the conversation was closed. */
export function drawWays(reason, retry) {
  if (reason === "signed_out") return [make("a", { href: location.href, class: "fg-way", click: reload }, "Sign in again")];
  if (reason === "too_many") return [make("button", { type: "button", class: "fg-way", click: retry }, "Try again")];
  if (reason === "not_found") return [make("a", { href: "/", class: "fg-way" }, "Your flows")];
  return [make("a", { href: location.href, class: "fg-way", click: reload }, "Reload the page")];
}

function reload(event) {
  event.preventDefault();
  location.reload();
}
