// @ts-check
/** Good or bad, under an answer that is stored: pressed at once, told to the server, and shown as the server has it. */

import { make, makeIconButton } from "../dom.js";

const BUTTONS = [["good", "Good answer"], ["bad", "Bad answer"]];
/** Answers that can be rated: of what failed, the flow's log tells. */
const FINISHED = ["complete", "stopped"];

export class Ratings {
  /** @param {import("../chat.js").View} view */
  constructor(view) {
    this.view = view;
    this.values = new Map();
    /** Of which answers this person said why. */
    this.explained = new Set();
    /** What was pressed here and is not told back: what stood there before, by the message's id. */
    this.pressed = new Map();
  }

  take(messages, ratings = {}, explained = []) {
    for (const { id, role } of messages) if (role === "assistant" && !this.pressed.has(id)) this.values.set(id, ratings[id] ?? null);
    for (const id of explained) this.explained.add(id);
  }

  hear({ session, message, value, error }) {
    const { view, pressed } = this, before = pressed.get(message), isMine = pressed.delete(message);
    if (error) {
      if (isMine) this.values.set(message, before);
      view.composer.say(error.text, { hint: error.hint });
    } else {
      this.values.set(message, value);
      this.explained.delete(message); // it went with the rating before
      if (isMine) view.speak({ good: "Rated as good.", bad: "Rated as bad." }[value] ?? "The rating was taken back.");
      if (isMine && value === "bad" && session === view.session) this.ask(message);
    }
    view.list.find(message)?.redrawRating?.();
  }

  ask(message) {
    this.view.trigger("why", { session: this.view.session, message });
  }

  press(answer, chosen) {
    const { id } = answer, { view } = this;
    if (this.pressed.has(id)) return;
    const before = this.values.get(id) ?? null, value = chosen === before ? null : chosen;
    if (!view.socket.send({ type: "rate", session: view.session, message: id, value })) {
      view.composer.say("The server is not reachable just now.", { hint: "Rate the answer again in a moment." });
      return;
    }
    this.pressed.set(id, before);
    this.values.set(id, value);
    answer.redrawRating();
  }

  /** The two buttons, and the way to say why; nothing where the answer is not stored. */
  draw(answer) {
    const { id, stored } = answer;
    if (!FINISHED.includes(stored?.state) || !id || answer.isUnkept) return null;
    const value = this.values.get(id);
    const buttons = BUTTONS.map(([name, label]) =>
      makeIconButton(name, label, () => this.press(answer, name), { "aria-pressed": String(value === name), "data-rates": name }));
    const label = this.explained.has(id) ? "Edit reason" : "Tell why";
    const why = value && !this.pressed.has(id) ? make("button", { type: "button", class: "fg-why", click: () => this.ask(id) }, label) : null;
    return make("span", { class: "fg-rating", role: "group", "aria-label": "How was this answer?" }, ...buttons, why);
  }

  /** In the place of what was drawn before: focus stays on the button that was pressed. */
  redraw(answer, drawn) {
    const had = drawn.contains(document.activeElement) ? document.activeElement.getAttribute("data-rates") : null;
    const fresh = this.draw(answer);
    drawn.replaceWith(fresh ?? "");
    if (had) fresh?.querySelector(`[data-rates="${had}"]`)?.focus({ preventScroll: true });
    return fresh;
  }
}
