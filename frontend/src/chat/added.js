// Files that go along with the next message: chosen, dropped or pasted, seen on their way, and taken out again.

import { icon, make, makeIconButton } from "../dom.js";
import { isShown, nameKind } from "./sent.js";
import { count, writeSize } from "./words.js";

/** Files that one page sends to the server at once. */
const AT_ONCE = 3;
const BROKEN = "The connection broke before it was there.";
export const NOT_THERE = "Your files are still on their way.";

export class Added {
  /** `act` has `change()`, `say(sentence)`, `speak(sentence)` and `address(what, asked)`; `holder` is what has them. */
  constructor(act, { upload = send, holder = "message" } = {}) {
    Object.assign(this, { act, upload, holder, items: [], takes: null, made: 0 });
    this.picker = make("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-hidden": "true", change: () => this.pick() });
    this.button = makeIconButton("attach", "Add files", () => this.picker.click(), { class: "fg-icon fg-attach", hidden: true });
    this.element = make("ul", { class: "fg-added", "aria-label": `Files of your ${holder}` });
  }

  /** What the flow takes: `{accept, bytes, most, says}`; `most` 0 is nothing, and `says` is why. */
  describe(takes) {
    this.takes = takes;
    this.button.hidden = !this.isTaking;
    this.picker.setAttribute("accept", takes?.accept ?? "");
    this.button.title = takes?.says ?? "";
  }

  get isTaking() {
    return Boolean(this.takes?.most);
  }

  /** Whether one is still on its way. */
  get isBusy() {
    return this.items.some(({ state }) => state === "waiting" || state === "coming");
  }

  /** Those that a message would have: `{id, name, type, size}` each. */
  list() {
    return this.items.filter(({ state }) => state === "there").map(({ id, name, type, size }) => ({ id, name, type, size }));
  }

  pick() {
    this.add([...this.picker.files]);
    this.picker.value = "";
  }

  /** Takes in what of these fits. */
  add(files) {
    if (!files.length) return;
    if (!this.isTaking) {
      this.act.say(this.takes?.says ?? "");
      return;
    }
    const room = Math.max(0, this.takes.most - this.items.filter(({ state }) => state !== "failed").length);
    if (files.length > room) this.act.say(`A ${this.holder} takes ${count(this.takes.most, "file")} at most.`);
    for (const file of files.slice(0, room)) this.begin(file);
    this.goOn();
  }

  begin(file) {
    const item = { key: ++this.made, file, name: file.name || "file", size: file.size, type: file.type, state: "waiting", share: 0 };
    if (file.size > this.takes.bytes) this.fail(item, `It is over ${writeSize(this.takes.bytes)}.`);
    else if (this.takes.no_images && item.type.startsWith("image/")) this.fail(item, this.takes.no_images);
    else if (isShown(item)) item.preview = URL.createObjectURL(file);
    this.items.push(item);
    this.draw(item);
  }

  /** Sends those that wait, a few at a time. */
  goOn() {
    const free = AT_ONCE - this.items.filter(({ state }) => state === "coming").length;
    for (const item of this.items.filter(({ state }) => state === "waiting").slice(0, Math.max(0, free))) this.send(item);
    this.act.change();
  }

  send(item) {
    item.state = "coming";
    item.stop = this.upload(this.act.address("upload", { name: item.name }), item.file, {
      progress: (share) => {
        item.share = share;
        this.draw(item);
      },
      end: (status, answer) => {
        if (status === 201) Object.assign(item, { ...answer, state: "there" });
        else this.fail(item, write(answer) || BROKEN, { canRetry: !status || status === 429 || status >= 500 });
        this.draw(item);
        this.act.speak(status === 201 ? `${item.name} is added.` : item.says.startsWith(item.name) ? item.says : `${item.name}: ${item.says}`);
        this.goOn();
      },
    });
    this.draw(item);
  }

  fail(item, says, { canRetry = false } = {}) {
    Object.assign(item, { state: "failed", says, canRetry });
  }

  /** Its picture is not to be had: what was kept from before may be deleted by now. */
  miss(item) {
    if (!item.preview && item.state === "there") this.fail(item, "It was deleted.");
    item.preview = null;
    item.drawn = null;
    this.draw(item);
    this.act.change();
  }

  retry(item) {
    item.state = "waiting";
    this.draw(item);
    this.goOn();
    item.element.querySelector(".fg-take-out").focus({ preventScroll: true });
  }

  /** Takes one out, here and on the server; what has the keyboard next is its neighbour. */
  takeOut(item) {
    item.stop?.();
    if (item.state === "there") this.upload(this.act.address("delete", { id: item.id }), null, {});
    const at = this.items.indexOf(item);
    this.drop(item);
    (this.items[at] ?? this.items[at - 1])?.element.querySelector(".fg-take-out").focus({ preventScroll: true });
    if (!this.items.length) this.button.focus({ preventScroll: true });
    this.act.speak(`${item.name} is removed.`);
    this.goOn();
  }

  drop(item) {
    if (item.preview) URL.revokeObjectURL(item.preview);
    item.element.remove();
    this.items = this.items.filter((other) => other !== item);
  }

  /** They are sent, or another conversation is shown. */
  clear() {
    for (const item of this.items) {
      if (item.state === "coming") item.stop?.();
      this.drop(item);
    }
    this.act.change();
  }

  /** Puts in what is on the server already: kept from before, or given back. */
  restore(files) {
    for (const file of files) {
      if (this.items.some(({ id }) => id === file.id)) continue;
      const item = { ...file, key: ++this.made, state: "there" };
      this.items.push(item);
      this.draw(item);
    }
    this.act.change();
  }

  draw(item) {
    const made = this.drawItem(item);
    if (!item.element) this.element.append(made);
    else if (item.drawn === item.state) return this.drawShare(item);
    else {
      const hadFocus = item.element.contains(document.activeElement);
      item.element.replaceWith(made);
      if (hadFocus) made.querySelector(".fg-take-out").focus({ preventScroll: true });
    }
    Object.assign(item, { element: made, drawn: item.state });
    return undefined;
  }

  drawItem(item) {
    const { name, state } = item;
    const isPicture = state !== "failed" && isShown(item) && (item.preview || (item.id && item.preview !== null));
    const src = isPicture ? (item.preview ?? this.act.address("image", { id: item.id })) : "";
    const face = make("span", { class: "fg-face" }, isPicture ? make("img", { src, alt: "", error: () => this.miss(item) }) : icon(state === "failed" ? "alert" : "file"));
    const says = state === "failed" ? item.says : "";
    const facts = make("span", { class: says ? "fg-added-says" : "fg-figures" }, says || this.writeFacts(item));
    const bar = state === "coming" ? make("progress", { max: 1, value: item.share, "aria-label": `Adding ${name}` }) : null;
    const again = item.canRetry && state === "failed" ? makeIconButton("again", `Add ${name} again`, () => this.retry(item)) : null;
    const out = makeIconButton("clear", `Remove ${name}`, () => this.takeOut(item), { class: "fg-icon fg-take-out" });
    const text = make("span", { class: "fg-added-text" }, make("strong", { dir: "auto", title: name }, name), facts, bar);
    return make("li", { "data-state": state }, face, text, again, out);
  }

  drawShare(item) {
    item.element.querySelector("progress")?.setAttribute("value", item.share);
    const facts = item.element.querySelector(".fg-figures");
    if (facts) facts.textContent = this.writeFacts(item);
  }

  writeFacts({ name, size, state, share }) {
    if (state === "waiting") return "waiting";
    return state === "coming" ? `${Math.round(100 * share)} % of ${writeSize(size)}` : `${nameKind(name)} · ${writeSize(size)}`;
  }
}

/** The server's sentence, where it gave one. */
const write = ({ detail, hint } = {}) => [detail, hint].filter((one) => typeof one === "string" && one).join(" ");

/** Sends a file as the body; `end(status, answer)` once, status 0 where nobody answered. Gives what stops it. */
function send(address, file, { progress = () => {}, end = () => {} }) {
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
  request.onload = () => end(request.status, read(request.responseText));
  request.onerror = () => end(0, {});
  request.open("POST", address);
  request.send(file);
  return () => {
    request.onload = request.onerror = request.upload.onprogress = null;
    request.abort();
  };
}

function read(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
