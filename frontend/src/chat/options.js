// @ts-check
/** What the flow asks beside the message: a line that tells it, and unfolds into fields. What is chosen goes along with
 * each message as overrides of that turn; it is kept in this tab for each conversation, and begun by the page's address. */

import { copyAndTell, fit, icon, join, make, readJson, writeSentence } from "../dom.js";

/** Characters of a text: what a message has beside itself is short, for whoever is not signed in it has to be. */
const LONGEST = 10_000;
const YES = ["true", "on", "yes", "1"], NO = ["false", "off", "no", "0"];

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
    this.isTouched = false;
    const id = `fg-asked-${++made}`;
    const changed = () => {
      this.isTouched = true;
      this.check();
      change(this);
    };
    const heard = { input: () => this.grow(), change: changed };
    this.input = this.makeInput({ id, class: "fg-asked-input", name: field.address, "aria-describedby": `${id}-below`, required: field.is_required, ...heard });
    this.output = field.widget === "slider" ? make("output", { for: id, class: "fg-figures" }) : null;
    this.below = make("p", { id: `${id}-below`, class: "fg-asked-below" });
    const needed = field.is_required ? make("span", { class: "fg-figures", "aria-hidden": "true" }, " needed") : null;
    const label = make("label", { for: id, title: field.help || null }, field.title, needed);
    const head = make("div", { class: "fg-asked-head" }, label, this.output);
    this.element = make("div", { class: "fg-asked-field", "data-widget": field.widget }, head, this.input, this.below);
  }

  makeInput(given) {
    const { widget, min, max, choices, value, is_optional: isOptional } = this.field;
    if (widget === "choice") return make("select", given, ...choices.map(({ label }, at) => make("option", { value: at }, label)));
    if (widget === "switch") return make("input", { ...given, type: "checkbox", role: "switch" });
    if (widget === "slider") return make("input", { ...given, type: "range", min, max, step: findStep(this.field) });
    const placeholder = value == null ? "not set" : write(this.field, value);
    if (widget === "integer" || widget === "number") return make("input", { ...given, type: "number", min, max, step: widget === "integer" ? 1 : "any", placeholder, autocomplete: "off" });
    const text = { ...given, dir: "auto", autocomplete: "off", ...(isOptional ? { placeholder: "not set" } : {}) };
    return widget === "area" ? make("textarea", { ...text, rows: 1 }) : make("input", { ...text, type: "text" });
  }

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
    this.grow();
    this.check();
  }

  /** Says below it what is wrong, or who decides; whether nothing is wrong. */
  check() {
    const { value, mistake: wrong } = this.input.disabled ? { value: true } : this.read();
    const isMissing = this.isTouched && this.field.is_required && !wrong && isBlank(value);
    const mistake = wrong || (isMissing ? `${this.field.title} is needed.` : "");
    if (mistake) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    this.below.textContent = mistake || (this.input.disabled ? "Set by your temporary overrides." : "");
    this.element.toggleAttribute("data-wrong", Boolean(mistake));
    return !mistake;
  }

  grow() {
    if (this.output) this.output.textContent = this.input.value;
    if (this.field.widget === "area") fit(this.input);
  }
}

/** What the address of a page says by itself. */
const PAGES_OWN = ["flow", "session", "overrides", "embed", "embed_options"];
const COPY = "Copy link";

export class Options {
  /** @param {import("../chat.js").View} view */
  constructor(view, drafts) {
    this.view = view;
    this.drafts = drafts;
    this.controls = [];
    this.chosen = [];
    this.overrides = {};
    this.choice = this.key = null;
    this.fieldsTold = this.address = "";
    this.told = make("p", { class: "fg-asked-told", role: "status" });
    this.summary = make("summary", { click: () => (this.choice = !this.fold.open) }, make("span", { class: "fg-asked-line" }), icon("next"));
    this.grid = make("div", { class: "fg-asked-grid", keydown: (event) => this.hear(event) });
    const reset = make("button", { type: "button", class: "fg-why", click: () => this.reset() }, "Reset");
    this.copy = make("button", { type: "button", class: "fg-why", click: () => copyAndTell(this.copy, this.writeLink(), (isDone) => this.tellCopied(isDone)) }, COPY);
    this.ways = make("div", { class: "fg-asked-ways" }, reset, this.copy);
    this.fold = make("details", { class: "fg-asked" }, this.summary, make("div", { class: "fg-asked-body" }, this.grid, this.ways));
    this.element = make("div", { class: "fg-asked-all", hidden: true }, this.told, this.fold);
    this.fold.addEventListener("toggle", () => {
      for (const control of this.controls) control.grow();
      this.draw();
    });
  }

  /** Enter in a line is done with it; in a text of several it begins the next. */
  hear(event) {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("input")) return;
    event.preventDefault();
    event.target.dispatchEvent(new Event("change"));
    if (this.check()) this.view.composer.focus();
  }

  /** The fields, and the overrides that a person set elsewhere, which win. */
  describe(fields, overrides) {
    const told = JSON.stringify(fields);
    if (told !== this.fieldsTold) {
      this.fieldsTold = told;
      const before = this.list();
      this.controls = fields.map((field) => new Control(field, (control) => this.change(control)));
      this.grid.replaceChildren(...this.controls.map(({ element }) => element));
      this.element.hidden = !fields.length;
      this.take(before);
    }
    this.overrides = overrides;
    this.show();
  }

  /** Values by address, as texts; those that do not fit are left out. */
  take(texts) {
    this.chosen = this.controls.map(({ field }) => {
      const text = texts[field.address];
      return (text === undefined ? null : read(field, text).value) ?? field.value;
    });
  }

  /** Of a conversation: as it was left in this tab, else as the page's address says, else the author's. */
  open(key) {
    Object.assign(this, { key, choice: null });
    for (const control of this.controls) control.isTouched = false;
    if (!this.controls.length) return;
    const [texts, told] = this.readAddress();
    const address = JSON.stringify(texts);
    const kept = readJson(this.drafts.read(this.key));
    const isKept = kept && (address === "{}" || kept.address === address);
    this.take(isKept ? kept.texts : texts);
    this.address = isKept ? kept.address : address;
    this.told.replaceChildren(...(isKept ? [] : writeSentence(told.join(" "))));
    this.show();
  }

  rename(key) {
    if (!this.controls.length || key === this.key) return;
    this.drafts.keep(this.key, "");
    this.key = key;
    this.keep();
  }

  keep() {
    this.drafts.keep(this.key, JSON.stringify({ texts: this.list(), address: this.address }));
  }

  /** What the page's address fills in: texts by field, and sentences about what it cannot. */
  readAddress() {
    const texts = {}, told = [];
    for (const [name, text] of new URLSearchParams(location.search)) {
      const field = this.find(name);
      const { mistake } = field ? read(field, text) : {};
      if (mistake) told.push(`This page's address says something for ${field.title} that is ignored: ${mistake}`);
      else if (field) texts[field.address] = text;
      else if (name.includes(".")) told.push(`\`${name.slice(0, 60)}\` in this page's address is ignored: nobody is asked for it here.`);
    }
    return [texts, told];
  }

  /** The field that the address calls so, whatever its letters are. */
  find(name) {
    const fields = this.controls.map(({ field }) => field);
    const isNamed = (field) => [field.address, `${field.component}.${field.name}`].some((one) => one.toLowerCase() === name.toLowerCase());
    return fields.find((field) => field.address === name) ?? (PAGES_OWN.includes(name) ? undefined : fields.find(isNamed));
  }

  override({ component, name }) {
    return this.overrides[component]?.[name];
  }

  show() {
    this.controls.forEach((control, at) => {
      const override = this.override(control.field);
      control.input.disabled = override != null; // it is changed where it was made
      control.write(override ?? this.chosen[at]);
    });
    this.draw();
  }

  change(control) {
    const { value, mistake } = control.read();
    if (!mistake) this.chosen[this.controls.indexOf(control)] = value ?? control.field.value;
    this.note();
  }

  note() {
    this.told.replaceChildren();
    this.keep();
    this.draw();
    this.view.shareTweaks();
  }

  reset() {
    this.take({});
    this.show();
    this.note();
    this.grid.querySelector(":is(input, select, textarea):enabled")?.focus();
  }

  /** Values other than the author's, as texts by address. */
  list() {
    const changed = this.controls.flatMap(({ field }, at) => (this.chosen[at] === field.value ? [] : [[field.address, String(this.chosen[at])]]));
    return Object.fromEntries(changed);
  }

  /** These overrides with what is chosen here, where they say nothing of it. */
  merge(overrides) {
    const merged = { ...overrides };
    this.controls.forEach(({ field: { component, name, value } }, at) => {
      if (this.chosen[at] !== value) merged[component] = { [name]: this.chosen[at], ...merged[component] };
    });
    return merged;
  }

  /** Whether all of it fits; else the first mistake is in sight, and has the keyboard. */
  check() {
    for (const control of this.controls) control.isTouched = true;
    const wrong = this.controls.filter((control) => !control.check())[0];
    if (!wrong) return true;
    this.fold.open = this.choice = true;
    wrong.input.focus();
    return false;
  }

  /** Open as its reader left it, else until something was said. */
  unfold(isOpen) {
    this.fold.open = this.choice ?? isOpen;
    for (const control of this.controls) control.grow();
  }

  draw() {
    const values = this.controls.map(({ field }, at) => `${field.title}: ${write(field, this.override(field) ?? this.chosen[at])}`);
    this.summary.firstElementChild.textContent = this.fold.open ? "Options" : join(...values);
    this.ways.hidden = !Object.keys(this.list()).length;
  }

  tellCopied(isDone) {
    const said = isDone ? "Copied" : "Copying failed";
    this.copy.textContent = isDone === null ? COPY : said;
    if (isDone !== null) this.view.speak(said);
  }

  /** This page's address, for a new conversation with these values. */
  writeLink() {
    const link = new URL(location.pathname, location.origin);
    const flow = new URLSearchParams(location.search).get("flow");
    if (flow) link.searchParams.set("flow", flow);
    for (const [address, text] of Object.entries(this.list())) link.searchParams.set(address, text);
    return link.href;
  }
}
