// What the flow asks beside the message: a line that tells it, and unfolds into fields. What is chosen goes along with
// each message as overrides of that turn; it is kept in this tab for each conversation, and begun by the page's address.

import { copyText } from "../markdown.js";
import { Control, read, write } from "./controls.js";
import { icon, make, writeSentence } from "../dom.js";
import { join } from "./words.js";

/** What the address of a page says by itself. */
const PAGES_OWN = ["flow", "session", "overrides", "embed", "embed_options"];
/** Characters of an address that every server and proxy takes. */
const LONGEST_LINK = 6000;
const COPY = "Copy link";

/** A component may be called `constructor` or `__proto__`, as what every object has. */
const readOwn = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

export class Options {
  /** `act` has `change()`, told when what goes along is another, `focus()`, the message's field, and `say(sentence)`. */
  constructor(act, drafts) {
    Object.assign(this, { act, drafts, controls: [], chosen: [], overrides: {}, choice: null });
    this.told = make("p", { class: "fg-asked-told", role: "status" });
    this.summary = make("summary", {}, make("span", { class: "fg-asked-line" }), icon("next"));
    this.grid = make("div", { class: "fg-asked-grid" });
    const reset = make("button", { type: "button", class: "fg-why", click: () => this.reset() }, "Reset");
    this.copy = make("button", { type: "button", class: "fg-why", click: () => this.copyLink() }, COPY);
    this.ways = make("div", { class: "fg-asked-ways" }, reset, this.copy);
    this.fold = make("details", { class: "fg-asked" }, this.summary, make("div", { class: "fg-asked-body" }, this.grid, this.ways));
    this.element = make("div", { class: "fg-asked-all", hidden: true }, this.told, this.fold);
    this.summary.addEventListener("click", () => (this.choice = !this.fold.open));
    this.fold.addEventListener("toggle", () => {
      for (const control of this.controls) control.grow();
      this.draw();
    });
    this.grid.addEventListener("keydown", (event) => this.hear(event));
  }

  /** Enter in a line is done with it; in a text of several it begins the next. */
  hear(event) {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("input")) return;
    event.preventDefault();
    event.target.dispatchEvent(new Event("change"));
    if (this.check()) this.act.focus();
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
      const { value = null } = Object.hasOwn(texts, field.address) ? read(field, texts[field.address]) : {};
      return value ?? field.value;
    });
  }

  /** Of a conversation: as it was left in this tab, else as the page's address says, else the author's. */
  open(key) {
    Object.assign(this, { key, choice: null });
    for (const control of this.controls) control.isTouched = false;
    if (!this.controls.length) return;
    const [texts, told] = this.readAddress();
    const address = JSON.stringify(texts);
    const kept = this.readKept();
    const isKept = kept && (address === "{}" || kept.address === address);
    this.take(isKept ? kept.texts : texts);
    this.address = isKept ? kept.address : address;
    this.tell(isKept ? [] : told);
    this.show();
  }

  readKept() {
    try {
      const kept = JSON.parse(this.drafts.read(this.key));
      return kept && typeof kept.texts === "object" ? kept : null;
    } catch {
      return null;
    }
  }

  /** The conversation has this name from now on, and what is chosen stays with it. */
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
    const texts = Object.create(null), told = [];
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

  tell(sentences) {
    this.told.replaceChildren(...writeSentence(sentences.join(" ")));
  }

  override(field) {
    return readOwn(readOwn(this.overrides, field.component) ?? {}, field.name);
  }

  /** What is chosen, or overridden, stands in the fields. */
  show() {
    this.controls.forEach((control, at) => {
      const override = this.override(control.field);
      control.lock(override != null);
      control.write(override ?? this.chosen[at]);
    });
    this.draw();
  }

  change(control) {
    const { value, mistake } = control.read();
    if (!mistake) this.chosen[this.controls.indexOf(control)] = value ?? control.field.value;
    this.note();
  }

  /** What is chosen is another now. */
  note() {
    this.tell([]);
    this.keep();
    this.draw();
    this.act.change();
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
    const merged = new Map();
    const add = (component, fields) => merged.set(component, { ...merged.get(component), ...fields });
    this.controls.forEach(({ field }, at) => {
      if (this.chosen[at] !== field.value) add(field.component, { [field.name]: this.chosen[at] });
    });
    for (const [component, fields] of Object.entries(overrides)) add(component, fields);
    return Object.fromEntries(merged);
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
    this.copy.hidden = this.writeLink().length > LONGEST_LINK;
  }

  async copyLink() {
    const isDone = await copyText(this.writeLink());
    this.copy.textContent = isDone ? "Copied" : "Copying failed";
    this.act.say(isDone ? "Copied" : "Copying failed.");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.copy.textContent = COPY), 1600);
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
