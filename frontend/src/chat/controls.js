// What one field is edited with: as its kind asks, by a label, and with what is wrong said below it.

import { make } from "../dom.js";

/** Characters of a text: what a message has beside itself is short, for whoever is not signed in it has to be. */
const LONGEST = 10_000;
const YES = ["true", "on", "yes", "1"], NO = ["false", "off", "no", "0"];

/** A value on one line. */
export function write(field, value) {
  if (field.widget === "choice") return field.choices.find((choice) => choice.value === value)?.label ?? "not set";
  if (value == null) return "not set";
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value).replace(/\s+/g, " ").trim() || "empty";
}

function isBlank(value) {
  return value == null || (typeof value === "string" && !value.trim());
}

/** What the text of an address or a field means: `{value}`, or `{mistake}`, a sentence. Null is the author's value. */
export function read(field, text) {
  if (text === String(field.value ?? "")) return { value: field.value }; // the author's own may lie outside the bounds
  if (field.widget === "choice") {
    const found = field.choices.find(({ value, label }) => text === String(value ?? "") || text === label);
    const labels = field.choices.filter(({ value }) => !isBlank(value)).map(({ label }) => label);
    return found ? { value: found.value } : { mistake: `${field.title} is one of ${labels.join(", ")}.` };
  }
  if (field.widget === "switch") {
    const word = text.trim().toLowerCase();
    return YES.includes(word) || NO.includes(word) ? { value: YES.includes(word) } : { mistake: `${field.title} is on or off.` };
  }
  if (field.widget === "text" || field.widget === "area") {
    const { length } = text;
    if (length > LONGEST) return { mistake: `${field.title} has ${length.toLocaleString("en")} characters; ${LONGEST.toLocaleString("en")} is the limit.` };
    return { value: text === "" && field.is_optional ? null : text };
  }
  return readNumber(field, text.trim());
}

function readNumber(field, text) {
  if (text === "") return { value: null };
  const number = Number(text);
  const isRight = Number.isFinite(number) && !(field.is_whole && !/^[+-]?\d+$/.test(text));
  const isInside = !(field.min != null && number < field.min) && !(field.max != null && number > field.max);
  if (!isRight || !isInside) return { mistake: `${field.title} is ${field.kind}.` };
  return { value: Math.abs(number) > Number.MAX_SAFE_INTEGER ? text : number };
}

/** So fine that the author's value is one of a slider's places. */
function findStep({ value, min, step }) {
  const isPlace = (one) => Math.abs((value - min) / one - Math.round((value - min) / one)) < 1e-6;
  return [step, step / 10, step / 100].find(isPlace) ?? "any";
}

let made = 0;

export class Control {
  /** `change(control)` is told once a value is there that was chosen or written to its end. */
  constructor(field, change) {
    this.field = field;
    const id = `fg-asked-${++made}`;
    this.input = this.makeInput({ id, class: "fg-asked-input", name: field.address, "aria-describedby": `${id}-below` });
    this.output = field.widget === "slider" ? make("output", { for: id }) : null;
    this.below = make("p", { id: `${id}-below`, class: "fg-asked-below" });
    const label = make("label", { for: id, title: field.help || null }, field.title);
    if (field.is_required) {
      this.input.required = true;
      label.append(make("span", { class: "fg-asked-needed", "aria-hidden": "true" }, "needed"));
    }
    const head = make("div", { class: "fg-asked-head" }, label, this.output);
    this.element = make("div", { class: "fg-asked-field", "data-widget": field.widget }, head, this.input, this.below);
    this.input.addEventListener("input", () => {
      this.slide(this.input.value);
      this.grow();
    });
    this.input.addEventListener("change", () => {
      this.isTouched = true;
      this.check();
      change(this);
    });
  }

  makeInput(given) {
    const { widget, min, max, step, choices, value, is_optional: isOptional } = this.field;
    if (widget === "choice") return make("select", given, ...choices.map(({ label }, at) => make("option", { value: at }, label)));
    if (widget === "switch") return make("input", { ...given, type: "checkbox", role: "switch" });
    if (widget === "slider") return make("input", { ...given, type: "range", min, max, step: findStep(this.field) });
    const placeholder = value == null ? "not set" : write(this.field, value);
    if (widget === "integer" || widget === "number") return make("input", { ...given, type: "number", min, max, step: widget === "integer" ? 1 : "any", placeholder, autocomplete: "off" });
    const text = { ...given, dir: "auto", autocomplete: "off", ...(isOptional ? { placeholder: "not set" } : {}) };
    return widget === "area" ? make("textarea", { ...text, rows: 1 }) : make("input", { ...text, type: "text" });
  }

  /** `{value}` as it is chosen, or `{mistake}`. */
  read() {
    const { field, input } = this;
    if (field.widget === "choice") return { value: field.choices[input.selectedIndex]?.value ?? null };
    if (field.widget === "switch") return { value: input.checked };
    if (input.validity?.badInput) return { mistake: `${field.title} is ${field.kind}.` };
    return read(field, input.value);
  }

  write(value) {
    const { field, input } = this;
    if (field.widget === "choice") input.selectedIndex = Math.max(0, field.choices.findIndex((choice) => choice.value === value));
    else if (field.widget === "switch") input.checked = Boolean(value);
    else input.value = value ?? "";
    this.slide(value);
    this.grow();
    this.check();
  }

  /** A temporary override says it: its value stands here, and is changed where it was made. */
  lock(isLocked) {
    this.isLocked = this.input.disabled = isLocked;
    this.check();
  }

  /** Says below it what is wrong, or who decides; whether nothing is wrong. */
  check() {
    const { value, mistake: wrong } = this.isLocked ? { value: true } : this.read();
    const isMissing = this.isTouched && this.field.is_required && !wrong && isBlank(value);
    const mistake = wrong || (isMissing ? `${this.field.title} is needed.` : "");
    if (mistake) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    this.below.textContent = mistake || (this.isLocked ? "Set by your temporary overrides." : "");
    this.element.toggleAttribute("data-wrong", Boolean(mistake));
    return !mistake;
  }

  /** A slider shows its value beside it, and how far it is. */
  slide(value) {
    if (!this.output) return;
    const { min, max } = this.field;
    this.output.textContent = String(value);
    this.input.style.setProperty("--fg-slid", `${(100 * (value - min)) / (max - min || 1)}%`);
  }

  grow() {
    if (this.field.widget !== "area") return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight + 2}px`;
  }
}
