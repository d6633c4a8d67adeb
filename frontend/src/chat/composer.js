// @ts-check
/** Where one writes: a field that grows, and one button that sends, or stops what was sent. */

import { fit, icon, isSending, isTouched, make, writeSentence } from "../dom.js";
import { Added, NOT_THERE } from "./files.js";

/** Milliseconds after *Send* for which *Stop*, which stands in its place, is not taken: a double click sends once. */
const SETTLE = 600;
const BUSY = "Wait for the end of this answer, or stop it. Your text is kept.";
const AWAY = "The connection to Flowground is lost, or it is restarting. Your text is kept.";

export class Composer {
  /** @param {import("../chat.js").View} view */
  constructor(view, { isForm = false } = {}) {
    this.view = view;
    this.isForm = isForm;
    this.isRunning = this.isOpen = this.isLost = this.isWanted = false;
    this.off = "";
    this.sentAt = -Infinity;
    this.notice = make("div", { class: "fg-notice", role: "alert" });
    this.chips = make("div", { class: "fg-chips" });
    const heard = { input: () => this.change(), keydown: (event) => this.hear(event), paste: (event) => this.paste(event) };
    this.box = make("textarea", { rows: isForm ? 5 : 1, dir: "auto", enterkeyhint: isForm || isTouched() ? "enter" : "send", autocomplete: "off", ...heard });
    this.button = make("button", { type: "button", class: "fg-send", click: () => this.press() });
    this.notes = make("div", { class: "fg-notes" });
    const [speak, address] = [(sentence) => view.speak(sentence), (what, asked) => view.address(what, asked)];
    this.added = new Added({ speak, address, warn: (sentence) => this.warn(sentence), changeFiles: () => this.changeFiles() });
    const { element: added, button: attach, picker } = this.added;
    const field = make("div", { class: "fg-field", click: ({ target }) => target === field && this.box.focus() }, added, attach, this.box, this.button, picker);
    const given = { class: isForm ? "fg-composer fg-form" : "fg-composer", novalidate: true, submit: (event) => event.preventDefault() };
    this.element = make("form", given, this.notice, this.chips, field, this.notes);
    this.draw();
  }

  hear(event) {
    if (event.key === "ArrowUp" && !this.box.value && this.view.editLast()) return event.preventDefault();
    if (event.isComposing || event.keyCode === 229 || !isSending(event, { isLong: this.isForm })) return;
    event.preventDefault();
    if (!this.isRunning) this.submit();
    else if (this.hasContent) this.say(BUSY, { kind: "busy" });
  }

  press() {
    if (!this.isRunning) this.submit();
    else if (!this.isSettling) this.view.stop();
  }

  get isSettling() {
    return this.isRunning && performance.now() - this.sentAt < SETTLE;
  }

  submit() {
    const text = this.box.value;
    if (!this.hasContent || this.off) return;
    if (!this.isOpen) {
      this.isWanted = !this.isLost;
      if (this.isLost) this.say(AWAY, { kind: "away" });
      return;
    }
    this.sentAt = performance.now();
    this.say("");
    this.view.send(text);
  }

  change() {
    this.isWanted = false;
    fit(this.box);
    this.draw();
    this.view.changeDraft(this.box.value);
  }

  /** A picture or file from the clipboard; what is there as text too is meant as text. */
  paste(event) {
    const { files, types } = event.clipboardData ?? {};
    if (!files?.length || [...types].includes("text/plain")) return;
    event.preventDefault();
    this.added.add([...files]);
  }

  changeFiles() {
    if (this.notice.dataset.kind === "files" && !this.added.isBusy && this.notice.textContent === NOT_THERE) this.say("");
    this.draw();
    this.view.changeFiles();
  }

  get hasContent() {
    return Boolean(this.box.value.trim() || this.added.list().length);
  }

  get text() {
    return this.box.value;
  }

  set text(text) {
    if (this.box.value === text) return;
    this.box.value = text;
    fit(this.box);
    this.draw();
  }

  /** A text that was not taken goes back, before what was typed since. */
  restore(text) {
    const since = this.box.value;
    this.text = since && since !== text ? `${text}\n${since}` : text;
    this.view.changeDraft(this.text);
  }

  focus() {
    this.box.focus({ preventScroll: true });
  }

  /** The style of a field like this one at its place on the screen. */
  describePlace() {
    const field = this.box.parentElement, seen = getComputedStyle(field), text = getComputedStyle(this.box);
    const { left, top, width, height } = field.getBoundingClientRect(), start = this.box.getBoundingClientRect().left - left - 1;
    const place = `left:${left}px;top:${top}px;width:${width}px;height:${height}px;padding-inline-start:${start}px`;
    const looks = `background:${seen.backgroundColor};border-color:${seen.borderColor};color:${text.color};font:${text.font}`;
    return `${place};${looks};--fg-pad:${text.paddingTop};--fg-button:${this.button.offsetHeight}px`;
  }

  setRunning(isRunning, { byThisPage = false } = {}) {
    this.isRunning = isRunning;
    if (!isRunning && this.notice.dataset.kind === "busy") this.say("");
    if (isRunning && byThisPage) {
      this.sentAt = performance.now();
      setTimeout(() => this.draw(), SETTLE + 1);
    }
    this.draw();
  }

  setLink(isOpen, { isLost = false } = {}) {
    this.isOpen = isOpen;
    this.isLost = isLost;
    if (isOpen && this.notice.dataset.kind === "away") this.say("");
    if (isLost) this.say(AWAY, { kind: "away" });
    this.draw();
    const isWanted = this.isWanted && isOpen;
    if (isLost || isOpen) this.isWanted = false;
    if (isWanted) this.submit();
  }

  setOff(sentence) {
    if (!sentence && this.off) this.say("");
    this.off = sentence || "";
    if (this.off) this.say(this.off, { kind: "off" });
    this.draw();
  }

  warn(sentence) {
    this.say(sentence, { kind: "files" });
  }

  /** A sentence above the field; "" takes it away. `ways` are links and buttons behind it; after `seconds` it says "now"
   * for "in 42 s". */
  say(sentence, { kind = "", hint = "", ways = [], seconds = 0 } = {}) {
    if (!sentence && this.off) return this.say(this.off, { kind: "off" });
    clearTimeout(this.timer);
    this.notice.dataset.kind = kind;
    const name = { off: "off", away: "wait", busy: "wait" }[kind] ?? "alert";
    const text = hint ? `${sentence} ${hint}` : sentence, later = text.replace(new RegExp(`\\bin (?:about )?${seconds} s\\b`), "now");
    if (later !== text) this.timer = setTimeout(() => this.say(later), 1000 * seconds);
    this.notice.replaceChildren(...(sentence ? [icon(name), make("p", {}, ...writeSentence(text)), ...ways] : []));
  }

  draw() {
    const [name, label] = this.isRunning ? ["stop", "Stop"] : this.isForm ? ["play", "Run"] : ["arrow", "Send"];
    if (this.button.dataset.does !== name) {
      this.button.dataset.does = name;
      this.button.setAttribute("aria-label", label);
      this.button.title = label;
      this.button.replaceChildren(icon(name), ...(this.isForm ? [label] : []));
    }
    this.button.setAttribute("aria-disabled", String(this.isSettling));
    this.box.disabled = Boolean(this.off);
    this.button.disabled = !this.isRunning && (Boolean(this.off) || this.added.isBusy || !this.hasContent);
    this.added.button.disabled = Boolean(this.off);
    this.element.toggleAttribute("data-off", Boolean(this.off));
  }

  describe({ label, placeholder, chip, notes, files }) {
    this.added.describe(files);
    this.box.placeholder = placeholder;
    this.box.setAttribute("aria-label", label);
    const given = { type: "button", class: "fg-chip", click: () => this.view.trigger("clear", true) };
    const title = chip && `Your messages here run with:\n${chip.lines.join("\n")}`;
    this.chips.replaceChildren(chip ? make("button", { ...given, title }, icon("tune"), make("strong", {}, chip.label), " · clear") : "");
    this.notes.replaceChildren(...notes.map(({ icon: name, text }) => make("p", {}, name ? icon(name) : null, ...writeSentence(text))));
  }
}
