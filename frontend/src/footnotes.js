/** Notes at the end of an answer, numbered in the order in which the text names them. */

let answers = 0;

/** Numbers the marks in `root` and draws the notes that are known; `draw(label)` gives a note's blocks. */
export function finishFootnotes(root, { labels, draw, messages }) {
  const marks = [...root.querySelectorAll("sup.fg-reference")];
  if (!marks.length) return;
  const { ownerDocument } = root, numbers = new Map(), seen = new Map(), prefix = `fg-${++answers}-note-`;
  for (const mark of marks) {
    const { label } = mark.dataset;
    if (!labels.has(label)) continue;
    if (!numbers.has(label)) numbers.set(label, numbers.size + 1);
    const time = (seen.get(label) ?? 0) + 1, number = numbers.get(label);
    seen.set(label, time);
    const link = makeLink(ownerDocument, `#${prefix}${number}`, String(number));
    link.id = `${prefix}${number}-from-${time}`;
    link.setAttribute("aria-label", `${messages.footnote} ${number}`);
    mark.replaceChildren(link);
  }
  if (!numbers.size) return;
  const section = ownerDocument.createElement("div"), list = ownerDocument.createElement("ol");
  section.className = "fg-footnotes";
  section.setAttribute("role", "group");
  section.setAttribute("aria-label", messages.footnotes);
  for (const [label, number] of numbers) {
    const item = ownerDocument.createElement("li");
    item.id = `${prefix}${number}`;
    item.setAttribute("tabindex", "-1");
    item.append(...draw(label));
    const back = makeLink(ownerDocument, `#${prefix}${number}-from-1`, "↩");
    back.setAttribute("aria-label", messages.back);
    (item.lastElementChild?.tagName === "P" ? item.lastElementChild : item).append(" ", back);
    list.append(item);
  }
  section.append(list);
  root.append(section);
}

/** The address of the page stays as it is: a new `#…` in it would be read as another page. */
function makeLink(document, target, text) {
  const link = document.createElement("a");
  link.className = "fg-jump";
  link.setAttribute("href", target);
  link.textContent = text;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const place = link.getRootNode().getElementById?.(target.slice(1));
    place?.scrollIntoView({ block: "nearest" });
    place?.focus({ preventScroll: true });
  });
  return link;
}
