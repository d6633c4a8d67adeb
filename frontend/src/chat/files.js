// @ts-check
/** Files of messages: chosen, dropped or pasted, seen on their way, and as they stand in messages: pictures small, as links
 * to the whole, everything else as a link that saves it. */

import { count, icon, make, makeIconButton, writeSize } from "../dom.js";

/** Files that one page sends to the server at once. */
const AT_ONCE = 3;
const BROKEN = "The connection broke before it was there.";
export const NOT_THERE = "Your files are still on their way.";
/** What the server shows; it decides by the bytes. */
const SHOWN = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** @typedef {{id?: string, name: string, type: string, size: number}} File
 * @typedef {(what: string, asked: Record<string, string>) => string} Address where one is added, shown, saved, deleted */

const isShown = ({ type }) => SHOWN.includes(type);

/** "report.final.PDF" → "PDF". */
export const nameKind = (name) => /\.([a-z0-9]{1,5})$/i.exec(name)?.[1].toUpperCase() ?? "File";

/** Null where there are none.
 * @param {File[]} files
 * @param {Address} address */
export function drawSent(files, address) {
  if (!files?.length) return null;
  const rows = files.map((file) => make("li", {}, isShown(file) ? drawPicture(file, address) : drawLink(file, address)));
  return make("ul", { class: "fg-sent", "aria-label": count(files.length, "file") }, ...rows);
}

function drawPicture(file, address) {
  const error = () => open.replaceWith(make("span", { class: "fg-document" }, ...drawFace(file, "deleted")));
  const href = address("image", { id: file.id });
  const shown = make("img", { src: href, alt: "", loading: "lazy", error });
  const open = make("a", { class: "fg-thumb", href, target: "_blank", rel: "noopener", "aria-label": `Open ${file.name}`, title: file.name }, shown);
  return open;
}

function drawLink(file, address) {
  const given = { class: "fg-document", href: address("download", { id: file.id }), download: file.name, title: `Save ${file.name}` };
  return make("a", given, ...drawFace(file, `${nameKind(file.name)} · ${writeSize(file.size)}`));
}

function drawFace(file, says) {
  const text = make("span", { class: "fg-added-text" }, make("strong", { dir: "auto" }, file.name), make("span", { class: "fg-figures" }, says));
  return [make("span", { class: "fg-face" }, icon("file")), text];
}

/** Files that are dropped anywhere on the page, until `signal` ends it. `act` has `canTake()`, `says()`, which stands over
 * the page meanwhile, and `take(files)`. */
export function listenForDrops(root, act, signal) {
  const text = make("p");
  const over = make("div", { class: "fg-drop", popover: "manual", "aria-hidden": "true" }, icon("attach"), text);
  root.append(over);
  const show = (event) => {
    event.dataTransfer.dropEffect = "copy"; // also where nothing is taken: who drops is told why
    if (over.matches(":popover-open")) return;
    text.textContent = act.says();
    over.toggleAttribute("data-off", !act.canTake());
    over.showPopover(); // above the sidebar too
  };
  const hear = (event) => {
    if (event.type === "dragend" || (event.type === "dragleave" && !event.relatedTarget)) over.hidePopover();
    const isOurs = event.dataTransfer?.types.includes("Files") && !document.querySelector('[role="dialog"], dialog[open]');
    if (!isOurs || event.type === "dragleave") return;
    event.preventDefault(); // else the browser would open the file in the place of the page
    if (event.type !== "drop") return show(event);
    over.hidePopover();
    act.take([...event.dataTransfer.files]);
  };
  for (const name of ["dragenter", "dragover", "dragleave", "dragend", "drop"]) document.addEventListener(name, hear, { signal });
}

/** Files that go along with the next message. */
export class Added {
  /** `act` has `changeFiles()`, `warn(sentence)`, `speak(sentence)` and `address`; `holder` is what has them.
   * @param {{changeFiles: () => void, warn: (sentence: string) => void, speak: (sentence: string) => void, address: Address}} act */
  constructor(act, { upload = send, holder = "message" } = {}) {
    this.act = act;
    this.upload = upload;
    this.holder = holder;
    this.items = [];
    this.takes = null;
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

  get isBusy() {
    return this.items.some(({ state }) => state === "waiting" || state === "coming");
  }

  /** Those that a message would have.
   * @returns {File[]} */
  list() {
    return this.items.filter(({ state }) => state === "there").map(({ id, name, type, size }) => ({ id, name, type, size }));
  }

  pick() {
    this.add([...this.picker.files]);
    this.picker.value = "";
  }

  add(files) {
    if (!files.length) return;
    if (!this.isTaking) return this.act.warn(this.takes?.says ?? "");
    const room = Math.max(0, this.takes.most - this.items.filter(({ state }) => state !== "failed").length);
    if (files.length > room) this.act.warn(`A ${this.holder} takes ${count(this.takes.most, "file")} at most.`);
    for (const file of files.slice(0, room)) this.begin(file);
    this.goOn();
  }

  begin(file) {
    const item = { file, name: file.name || "file", size: file.size, type: file.type, state: "waiting", share: 0 };
    if (file.size > this.takes.bytes) fail(item, `It is over ${writeSize(this.takes.bytes)}.`);
    else if (this.takes.no_images && item.type.startsWith("image/")) fail(item, this.takes.no_images);
    else if (isShown(item)) Object.assign(item, { preview: URL.createObjectURL(file) });
    this.items.push(item);
    this.draw(item);
  }

  goOn() {
    const free = AT_ONCE - this.items.filter(({ state }) => state === "coming").length;
    for (const item of this.items.filter(({ state }) => state === "waiting").slice(0, Math.max(0, free))) this.send(item);
    this.act.changeFiles();
  }

  send(item) {
    item.state = "coming";
    item.stop = this.upload(this.act.address("upload", { name: item.name }), item.file, {
      progress: (share) => this.draw(Object.assign(item, { share })),
      end: (status, answer) => {
        const isThere = status === 201;
        if (isThere) Object.assign(item, { ...answer, state: "there" });
        else fail(item, writeRefusal(answer) || BROKEN, { canRetry: !status || status === 429 || status >= 500 });
        this.draw(item);
        this.act.speak(isThere ? `${item.name} is added.` : item.says.startsWith(item.name) ? item.says : `${item.name}: ${item.says}`);
        this.goOn();
      },
    });
    this.draw(item);
  }

  retry(item) {
    item.state = "waiting";
    this.draw(item);
    this.goOn();
    focusItem(item);
  }

  /** Takes one out, here and on the server; what has the keyboard next is its neighbour. */
  takeOut(item) {
    item.stop?.();
    if (item.state === "there") this.upload(this.act.address("delete", { id: item.id }), null, {});
    const at = this.items.indexOf(item);
    this.drop(item);
    focusItem(this.items[at] ?? this.items[at - 1]);
    if (!this.items.length) this.button.focus({ preventScroll: true });
    this.act.speak(`${item.name} is removed.`);
    this.goOn();
  }

  drop(item) {
    if (item.preview) URL.revokeObjectURL(item.preview);
    item.element.remove();
    this.items = this.items.filter((other) => other !== item);
  }

  clear() {
    for (const item of this.items) {
      item.stop?.();
      this.drop(item);
    }
    this.act.changeFiles();
  }

  /** Puts in what is on the server already: kept from before, or given back.
   * @param {File[]} files */
  restore(files) {
    for (const file of files) {
      if (this.items.some(({ id }) => id === file.id)) continue;
      this.items.push({ ...file, state: "there" });
      this.draw(this.items.at(-1));
    }
    this.act.changeFiles();
  }

  draw(item) {
    if (item.element && item.drawn === item.state) return drawShare(item);
    const made = this.drawItem(item), before = item.element;
    Object.assign(item, { element: made, drawn: item.state });
    if (!before) return this.element.append(made);
    const hadFocus = before.contains(document.activeElement);
    before.replaceWith(made);
    if (hadFocus) focusItem(item);
  }

  drawItem(item) {
    const { name, state } = item, says = state === "failed" ? item.says : "";
    const isPicture = state !== "failed" && isShown(item);
    const src = isPicture ? (item.preview ?? this.act.address("image", { id: item.id })) : "";
    const face = make("span", { class: "fg-face" }, isPicture ? make("img", { src, alt: "" }) : icon(state === "failed" ? "alert" : "file"));
    const facts = make("span", { class: says ? "fg-added-says" : "fg-figures" }, says || writeFacts(item));
    const bar = state === "coming" ? make("progress", { max: 1, value: item.share, "aria-label": `Adding ${name}` }) : null;
    const again = item.canRetry && state === "failed" ? makeIconButton("again", `Add ${name} again`, () => this.retry(item)) : null;
    const out = makeIconButton("clear", `Remove ${name}`, () => this.takeOut(item), { class: "fg-icon fg-take-out" });
    const text = make("span", { class: "fg-added-text" }, make("strong", { dir: "auto", title: name }, name), facts, bar);
    return make("li", { "data-state": state }, face, text, again, out);
  }
}

const fail = (item, says, { canRetry = false } = {}) => Object.assign(item, { state: "failed", says, canRetry });
const focusItem = (item) => item?.element.querySelector(".fg-take-out").focus({ preventScroll: true });

function drawShare(item) {
  item.element.querySelector("progress")?.setAttribute("value", item.share);
  const facts = item.element.querySelector(".fg-figures");
  if (facts) facts.textContent = writeFacts(item);
}

function writeFacts({ name, size, state, share }) {
  if (state === "waiting") return "waiting";
  return state === "coming" ? `${Math.round(100 * share)} % of ${writeSize(size)}` : `${nameKind(name)} · ${writeSize(size)}`;
}

const writeRefusal = ({ detail, hint } = /** @type {any} */ ({})) => [detail, hint].filter((one) => typeof one === "string" && one).join(" ");

/** Sends a file as the body; `end(status, answer)` once, status 0 where nobody answered. Gives what stops it. */
function send(address, file, { progress = (_) => {}, end = (_, __) => {} }) {
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
  request.responseType = "json";
  request.onload = () => end(request.status, request.response ?? {});
  request.onerror = () => end(0, {});
  request.open("POST", address);
  request.send(file);
  return () => request.abort();
}
