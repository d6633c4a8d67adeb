// Keys, and the map that shows them.

import { isTouched, make, makeIconButton } from "../dom.js";

const SEND = ["Enter", "Send the message"], LINE = ["Shift + Enter", "Begin a new line"];
const TOUCHED = [["Ctrl + Enter", SEND[1]], ["Enter", LINE[1]]];
const MAP = [
  ["↑", "Edit your last message, from an empty field"],
  ["Esc", "Stop the answer, or leave the edit"],
  ["/", "Go to the message field"],
  ["Ctrl + Shift + O", "Begin a new chat"],
  ["Ctrl + Shift + C", "Copy the last answer"],
  ["?", "Show these keys"],
];

function makeMap() {
  const rows = [...(isTouched() ? TOUCHED : [SEND, LINE]), ...MAP].flatMap(([keys, what]) => [
    make("dt", {}, ...keys.split(" + ").flatMap((key, at) => [at ? " + " : "", make("kbd", {}, key)])),
    make("dd", {}, what),
  ]);
  const map = make("dialog", { class: "fg-keys", "aria-label": "Keyboard shortcuts" });
  const close = makeIconButton("clear", "Close", () => map.close());
  map.append(make("header", {}, make("h2", {}, "Keyboard shortcuts"), close), make("dl", {}, ...rows));
  map.addEventListener("click", (event) => event.target === map && map.close());
  return map;
}

/** Whether somebody is writing somewhere, or has a dialog or menu open. */
function isBusy(event) {
  const place = event.target;
  return place.isContentEditable || place.closest?.("input, textarea, select, [role=dialog], [role=menu], dialog[open]");
}

/** Listens on the whole page until the function that it returns is called. */
export function listen(root, { stop, focus, begin, copy }) {
  const map = makeMap();
  root.append(map);
  const hear = (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const isOpen = document.querySelector('[role="dialog"], [data-baseweb="popover"], dialog[open]');
    const isChord = (event.ctrlKey || event.metaKey) && event.shiftKey;
    let act = null;
    if (event.key === "Escape" && !isOpen) act = stop;
    else if (isChord && event.code === "KeyO" && !isOpen) act = begin;
    else if (isChord && event.code === "KeyC" && !isOpen) act = copy;
    else if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event)) return;
    else if (event.key === "/") act = focus;
    else if (event.key === "?") act = () => (map.open ? map.close() : map.showModal()) ?? true;
    if (act && act() !== false) event.preventDefault();
  };
  document.addEventListener("keydown", hear);
  return {
    close: () => {
      document.removeEventListener("keydown", hear);
      map.remove();
    },
  };
}
