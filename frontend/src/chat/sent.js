// Files as they stand in messages: pictures small, to be opened large; everything else as a link that saves it.

import { icon, make } from "../dom.js";
import { showLarge } from "./large.js";
import { count, writeSize } from "./words.js";

/** What the server shows; it decides by the bytes. */
const SHOWN = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const GONE = "deleted";

export const isShown = ({ type }) => SHOWN.includes(type);

/** "report.final.PDF" → "PDF". */
export function nameKind(name) {
  const [, ending] = name.match(/\.([a-z0-9]{1,5})$/i) ?? [];
  return ending ? ending.toUpperCase() : "File";
}

/** `files` are `{id, name, type, size}`; `address(what, asked)` is where one is. Null where there are none. */
export function drawSent(files, address) {
  if (!files?.length) return null;
  const pictures = files.filter(isShown);
  const rows = files.map((file) => make("li", {}, isShown(file) ? drawPicture(file, pictures, address) : drawLink(file, address)));
  return make("ul", { class: "fg-sent", "aria-label": count(files.length, "file") }, ...rows);
}

function drawPicture(file, pictures, address) {
  const shown = make("img", { src: address("image", { id: file.id }), alt: "", loading: "lazy" });
  const open = make("button", { type: "button", class: "fg-thumb", "aria-label": `Open ${file.name}`, title: file.name, click: () => showLarge(pictures, file, { address, from: open }) }, shown);
  shown.addEventListener("error", () => open.replaceWith(drawFace(make("span", { class: "fg-document" }), file, GONE)));
  return open;
}

function drawLink(file, address) {
  const link = make("a", { class: "fg-document", href: address("download", { id: file.id }), download: file.name, title: `Save ${file.name}` });
  return drawFace(link, file, `${nameKind(file.name)} · ${writeSize(file.size)}`);
}

function drawFace(place, file, says) {
  const text = make("span", { class: "fg-added-text" }, make("strong", { dir: "auto" }, file.name), make("span", { class: "fg-figures" }, says));
  place.append(make("span", { class: "fg-face" }, icon("file")), text);
  return place;
}
