/** A finished part as a screen reader may say it: sentences whole, code and tables by their size. */

const MOST = 2_000;

export function describe({ kind, node, element }, messages) {
  if (kind === "block" && node.type === "code") {
    const code = element.querySelector("code").textContent;
    return [element.querySelector(".fg-scroll").getAttribute("aria-label"), messages.lines(code.split("\n").length)].join(", ");
  }
  if (kind === "row") return [...element.children].map((cell) => read(cell)).filter(Boolean).join(", ");
  return read(element).slice(0, MOST);
}

function read(element) {
  const copy = element.cloneNode(true);
  for (const formula of copy.querySelectorAll(".fg-math annotation")) formula.closest(".fg-math").textContent = formula.textContent;
  for (const bar of copy.querySelectorAll(".fg-code-bar")) bar.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}
