// @ts-check
/** The page around a conversation: where it is scrolled to, its keys, what is kept in this browser, what is spoken. */

import { isTouched, make, makeIconButton } from "../dom.js";

const NEAR = 80;
const PREFIX = "flowground:draft:";
const SEND = "Send the message", LINE = "Begin a new line";
const KEYS = [
  ["↑", "Edit your last message, from an empty field"],
  ["Esc", "Stop the answer, or leave the edit"],
  ["/", "Go to the message field"],
  ["Ctrl + Shift + O", "Begin a new chat"],
  ["Ctrl + Shift + C", "Copy the last answer"],
  ["?", "Show these keys"],
];

/** The page follows what grows at its end as long as its reader is there, and has a way back to it. */
export class Scroll {
  /** `change(isAtEnd)` is told when the reader leaves the end, and when they are back; `signal` ends it. */
  constructor(root, change, signal) {
    this.root = root;
    this.place = root.closest('[data-testid="stMain"]');
    this.change = change;
    this.isFollowing = true;
    this.isHeld = false;
    this.last = 0;
    this.place.addEventListener("scroll", () => this.notice(), { passive: true, signal });
    addEventListener("resize", () => this.fit(), { signal });
    this.watcher = new ResizeObserver(() => this.grow());
    signal.addEventListener("abort", () => this.watcher.disconnect());
    root.addEventListener("click", ({ target }) => target.closest(".fg-wrap, .fg-cite, .fg-sources summary") && this.holdOnce());
    this.fit();
  }

  get isNear() {
    return this.place.scrollHeight - this.place.clientHeight - this.place.scrollTop < NEAR;
  }

  notice() {
    const top = this.place.scrollTop, wentUp = top < this.last - 2;
    this.last = top;
    if (this.isNear) this.follow(true);
    else if (wentUp) this.follow(false);
  }

  fit() {
    const { root, place } = this;
    const above = root.getBoundingClientRect().top - place.getBoundingClientRect().top + place.scrollTop;
    root.style.setProperty("--fg-above", `${Math.max(0, Math.round(above))}px`);
    root.style.setProperty("--fg-tall", `${place.clientHeight}px`);
    this.keepUp();
  }

  follow(isFollowing) {
    if (this.isFollowing === isFollowing) return;
    this.isFollowing = isFollowing;
    this.change(isFollowing || this.isNear);
  }

  /** What grows because its reader pressed it grows downwards: the page does not follow it to the end. */
  holdOnce() {
    this.isHeld = true;
    requestAnimationFrame(() => requestAnimationFrame(() => (this.isHeld = false)));
  }

  grow() {
    if (this.isHeld) this.follow(this.isNear);
    if (this.isFollowing && !this.isHeld) this.keepUp();
    else this.change(this.isNear);
  }

  /** To the end again with a reader who follows, but for one who edits what was said: it would leave their sight. An
   * empty conversation begins with its welcome and stays there. */
  keepUp() {
    const isEditing = this.root.querySelector(".fg-editor")?.contains(document.activeElement);
    if (this.isFollowing && !isEditing && !this.root.hasAttribute("data-empty")) this.toEnd();
  }

  toStart() {
    this.place.scrollTo({ top: 0, behavior: "instant" });
    this.last = 0;
  }

  toEnd({ isSmooth = false } = {}) {
    this.follow(true);
    const isStill = !isSmooth || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.place.scrollTo({ top: this.place.scrollHeight, behavior: isStill ? "instant" : "smooth" });
    this.last = this.place.scrollTop;
  }

  /** Brings it between the page's head and the foot, which lie above the messages. */
  reveal(element, foot) {
    element.style.scrollMarginBlock = `5rem ${foot.offsetHeight + 16}px`;
    element.scrollIntoView({ block: "nearest" });
  }

  /** Keeps what is read in its place while `act` puts something above it. */
  hold(act) {
    const before = this.place.scrollHeight - this.place.scrollTop;
    act();
    this.place.scrollTop = this.last = this.place.scrollHeight - before;
  }
}

/** What was typed and not sent: kept in this browser, for each conversation of each person, until it is sent. */
export class Drafts {
  /** `person` is a name for who is here that tells nothing of them. Drafts of anybody else are thrown away. */
  constructor(person, flow, store = window.localStorage) {
    const mine = `${PREFIX}${person}:`;
    this.here = `${mine}${flow}:`;
    this.store = store;
    const names = Array.from({ length: store.length }, (_, number) => store.key(number));
    for (const name of names) if (name.startsWith(PREFIX) && !name.startsWith(mine)) store.removeItem(name);
  }

  read(session) {
    return this.store.getItem(this.here + session) ?? "";
  }

  keep(session, text) {
    if (text) this.store.setItem(this.here + session, text);
    else this.store.removeItem(this.here + session);
  }
}

function makeKeyMap() {
  const first = isTouched() ? [["Ctrl + Enter", SEND], ["Enter", LINE]] : [["Enter", SEND], ["Shift + Enter", LINE]];
  const rows = [...first, ...KEYS].flatMap(([keys, what]) => [make("dt", {}, ...keys.split(" + ").flatMap((key, at) => [at ? " + " : "", make("kbd", {}, key)])), make("dd", {}, what)]);
  const close = makeIconButton("clear", "Close", () => map.close());
  const head = make("header", {}, make("h2", {}, "Keyboard shortcuts"), close);
  const map = make("dialog", { class: "fg-keys", "aria-label": "Keyboard shortcuts", click: ({ target }) => target === map && map.close() }, head, make("dl", {}, ...rows));
  return map;
}

const isBusy = ({ target }) => target.isContentEditable || target.closest?.("input, textarea, select, [role=dialog], [role=menu], dialog[open]");

export function listenForKeys(root, { stop, focus, begin, copy }, signal) {
  const map = makeKeyMap();
  root.append(map);
  const hear = (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const isOpen = document.querySelector('[role="dialog"], [data-baseweb="popover"], dialog[open]');
    const isHeld = event.ctrlKey || event.metaKey, isChord = isHeld && event.shiftKey && !isOpen;
    let act;
    if (event.key === "Escape" && !isOpen) act = stop;
    else if (isChord && event.code === "KeyO") act = begin;
    else if (isChord && event.code === "KeyC") act = copy;
    else if (isHeld || event.altKey || isBusy(event)) return;
    else if (event.key === "/") act = focus;
    else if (event.key === "?") act = () => (map.open ? map.close() : map.showModal());
    if (act && act() !== false) event.preventDefault();
  };
  document.addEventListener("keydown", hear, { signal });
}
