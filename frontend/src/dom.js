// @ts-check
/** Making elements, the few icons that stand in them, style sheets, and how figures and times are written, as
 * flowground/ui/page/words.py writes them. */

/** An element: `make("button", {class: "fg-icon", "aria-label": "Copy"}, icon("copy"))`. Functions become listeners. */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

/** The paths of each icon, in a square of 24, drawn as strokes. */
const PATHS = {
  again: "M4 12a8 8 0 1 1 2.3 5.6M4 18v-5h5",
  alert: "M12 3.5 22 20H2ZM12 10v4M12 17v.1",
  attach: "M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.5-8.5a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.8-7.8",
  arrow: "M12 19V5M6 11l6-6 6 6",
  bad: "M7 14V4H4v10ZM7 13l4 8c1.7 0 2.5-1.2 2.2-2.8L12.5 15H18a2 2 0 0 0 2-2.4l-1.3-7A2 2 0 0 0 16.8 4H7",
  clear: "M6 6l12 12M18 6 6 18",
  code: "M8 7l-5 5 5 5M16 7l5 5-5 5",
  copy: "M9 9h11v11H9ZM5 15H4V4h11v1",
  done: "M5 12.5 10 17.5 19.5 7",
  down: "M12 5v14M6 13l6 6 6-6",
  eye: "M3 3l18 18M10 6.3A9 9 0 0 1 21 12a14 14 0 0 1-2.6 3.4M6.5 7.2A13 13 0 0 0 3 12a9.6 9.6 0 0 0 12.6 5M10 10a3 3 0 0 0 4 4",
  fetch: "M12 4v11M7 11l5 5 5-5M4 20h16",
  file: "M6 3h8l4 4v14H6ZM14 3v4h4M9 12h6M9 16h6",
  flow: "M9 4h6v5H9ZM3 15h6v5H3ZM15 15h6v5h-6ZM12 9v3M6 15v-3h12v3",
  good: "M7 10v10H4V10ZM7 11l4-8c1.7 0 2.5 1.2 2.2 2.8L12.5 9H18a2 2 0 0 1 2 2.4l-1.3 7a2 2 0 0 1-1.9 1.6H7",
  edit: "M4 20h4L19 9l-4-4L4 16ZM13 7l4 4",
  next: "M9 6l6 6-6 6",
  previous: "M15 6l-6 6 6 6",
  off: "M12 3v9M6.5 6.5a8 8 0 1 0 11 0",
  play: "M7 4.5v15l12-7.5Z",
  stop: "M7 7h10v10H7Z",
  test: "M10 3v6.5L4.8 18.4A1.7 1.7 0 0 0 6.3 21h11.4a1.7 1.7 0 0 0 1.5-2.6L14 9.5V3M8 3h8M7.5 15h9",
  thought: "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.2 1.1 2.2h5c0-1 .4-1.6 1.1-2.2A6 6 0 0 0 12 3Z",
  tool: "M14.5 6.5a4 4 0 0 0-5.3 4.9L3.5 17a2 2 0 0 0 0 2.9l.6.6a2 2 0 0 0 2.9 0l5.6-5.7a4 4 0 0 0 4.9-5.3l-2.6 2.6-2.5-.5-.5-2.5Z",
  tune: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  wait: "M7 3h10M7 21h10M8 3c0 5 8 5 8 9s-8 4-8 9M16 3c0 5-8 5-8 9s8 4 8 9",
};

/** An icon without a name: what it stands in has one. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("class", `fg-svg fg-svg-${name}`);
  path.setAttribute("d", PATHS[name]);
  drawing.append(path);
  return drawing;
}

/** A button that shows an icon alone; `label` is its name and what a pointer reads. */
export function makeIconButton(name, label, click, given = {}) {
  return make("button", { type: "button", class: "fg-icon", "aria-label": label, title: label, click, ...given }, icon(name));
}

/** What opens: what `fill()` gives is drawn when it is opened first. */
export function makeFold(given, head, fill) {
  const draw = () => fold.hasAttribute("open") && fold.childElementCount === 1 && fold.append(...fill().filter(Boolean));
  const fold = make("details", { ...given, toggle: draw }, make("summary", {}, ...head));
  draw();
  return fold;
}

/** Whether fingers point here: their keyboard lies on the screen, and its Enter begins a line as in any other field. */
export const isTouched = () => matchMedia("(pointer: coarse)").matches;

/** Whether this key sends what is written, in a field where Enter alone does; for fingers, and where `isLong`, it does not. */
export function isSending(event, { isLong = false } = {}) {
  return event.key === "Enter" && (isLong || isTouched() ? event.ctrlKey || event.metaKey : !event.shiftKey);
}

export function fit(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

/** What a text of JSON means; null where it is none. */
export function readJson(text, revive = undefined) {
  try {
    return JSON.parse(text, revive);
  } catch {
    return null;
  }
}

/** Gives an element these children in this order; one that is in its place is not moved, and keeps the keyboard. */
export function arrange(element, children) {
  for (const child of [...element.children]) if (!children.includes(child)) child.remove();
  let place = element.firstElementChild;
  for (const child of children) {
    if (child === place) place = place.nextElementSibling;
    else element.insertBefore(child, place);
  }
}

/** A sentence of the server's: what stands in backticks is code, all else is plain. */
export function writeSentence(text) {
  return text.split(/`([^`\n]+)`/).map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

/** Copies a text; `tell(isDone)` says so, and `tell(null)` after a moment. `button` is what was pressed. */
export async function copyAndTell(button, text, tell) {
  const isDone = await copyText(text);
  tell(isDone);
  clearTimeout(button.timer);
  button.timer = setTimeout(() => tell(null), isDone ? 1_600 : 4_800);
}

/** A button that copies what `read()` gives, and shows for a moment that it was done. */
export function makeCopyButton(label, read) {
  const button = makeIconButton("copy", label, () => copyAndTell(button, read(), tell));
  const tell = (isDone) => {
    const [name, said] = isDone === null ? ["copy", label] : isDone ? ["done", "Copied"] : ["alert", "Copying failed. Select the text instead."];
    button.setAttribute("aria-label", said);
    button.title = said;
    button.replaceChildren(icon(name));
  };
  return button;
}

/** An id that nobody else has; also where the page is not served by https. */
export function makeId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether it worked; also where the page is not served by https and the browser has no clipboard to offer. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const before = document.activeElement;
  const field = make("textarea", { readonly: true, style: "position:fixed;top:0;opacity:0" }, text);
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  before.focus({ preventScroll: true });
  return isDone;
}

/** 0.42 → "420 ms", 1.23 → "1.2 s", 12.3 → "12 s", 75 → "1 min 15 s"; nothing for null. */
export function writeSeconds(value) {
  if (value == null) return "";
  if (value < 10) {
    if (value >= 0.995) return `${value.toFixed(1)} s`;
    return value >= 0.0005 ? `${Math.round(value * 1000)} ms` : "under 1 ms";
  }
  const whole = Math.round(value);
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole} s`;
}

/** For what is guessed. 0.2 → "1 s", 75 → "2 min". */
export function roundSeconds(value) {
  return value < 59.5 ? `${Math.max(1, Math.round(value))} s` : `${Math.ceil(value / 60)} min`;
}

export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

export function writeTokens(tokens) {
  return tokens == null ? "" : count(tokens.input + tokens.output, "token");
}

/** Bytes in the unit a person would take, powers of 1000. */
export function writeSize(size) {
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} GB`;
  return size >= 1e6 ? `${Math.round(size / 1e6)} MB` : `${Math.max(1, Math.floor(size / 1000))} kB`;
}

export function join(...parts) {
  return parts.filter(Boolean).join(" · ");
}

export function writeTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** "3 Dec 2026" by this browser's clock. */
export function writeDay(at) {
  const day = new Date(at);
  const today = new Date();
  const before = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === before.toDateString()) return "Yesterday";
  return `${day.getDate()} ${day.toLocaleDateString("en", { month: "short" })} ${day.getFullYear()}`;
}

export function writeMoment(at) {
  return `${writeDay(at)}, ${writeTime(at)}`;
}

/** Put into the document once. */
const adopted = new Set();

export function adopt(css) {
  if (!adopted.has(css)) document.head.append(make("style", {}, css));
  adopted.add(css);
}
