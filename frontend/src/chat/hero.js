// The middle of an empty conversation, below the page's head, which names it; and the ways out of a closed one.

import { render } from "../markdown.js";
import { make } from "../dom.js";

/** Letters of a welcome that is read at a glance: it stands there as a headline. */
const SHORT = 90;

/** That a flow has no documents to answer from; `adding` is the flow's id for who may add some. */
export function drawLack(says, adding) {
  const way = adding && make("a", { class: "fg-way", href: `/knowledge?${new URLSearchParams({ flow: adding })}` }, "Add documents");
  return make("div", { class: "fg-notice fg-lack", "data-kind": "off" }, make("p", {}, says), way || null);
}

export class Hero {
  constructor(say) {
    this.say = say;
    this.welcome = make("div", { class: "fg-hero-welcome", dir: "auto" });
    this.starters = make("div", { class: "fg-starters", role: "group", "aria-label": "Suggestions" });
    this.lack = make("div");
    this.element = make("div", { class: "fg-hero" }, this.welcome, this.lack, this.starters);
  }

  describe({ welcome, starters, flow, lacks_documents: lacks, adds_documents: adds }) {
    const told = JSON.stringify([welcome, starters, lacks, adds]);
    if (told === this.told) return;
    this.told = told;
    if (welcome) render(this.welcome, welcome, {});
    else this.welcome.replaceChildren();
    this.welcome.toggleAttribute("data-short", welcome.length <= SHORT && !welcome.includes("\n"));
    const click = (event) => this.say(event.currentTarget.textContent);
    this.starters.replaceChildren(...starters.map((text) => make("button", { type: "button", class: "fg-starter", dir: "auto", click }, text)));
    this.starters.hidden = Boolean(lacks) || !starters.length;
    this.lack.replaceChildren(lacks ? drawLack(lacks, adds && flow) : "");
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
