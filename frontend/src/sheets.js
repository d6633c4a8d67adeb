/** Style sheets, put once into the document, and into the shadow root when there is one. */

/* global KATEX_SHEET */
const FILES = { katex: typeof KATEX_SHEET === "string" ? KATEX_SHEET : null };
const adopted = new WeakMap();

/** `css` once into the document or shadow root that `element` stands in. */
export function adopt(element, css) {
  const root = element.getRootNode?.() ?? element.ownerDocument;
  const place = root.head ?? (root.host ? root : element.ownerDocument.head);
  const known = adopted.get(place) ?? new Set();
  if (known.has(css)) return;
  adopted.set(place, known.add(css));
  const style = element.ownerDocument.createElement("style");
  style.textContent = css;
  place.append(style);
}

/** A sheet with fonts is a file of its own beside this one; fonts count for the document only, so it is linked there too. */
export function addSheet(element, name) {
  const file = FILES[name];
  if (!file) return;
  const { ownerDocument } = element, root = element.getRootNode?.();
  for (const place of [ownerDocument.head, root?.host ? root : null]) {
    if (!place || place.querySelector(`link[data-fg-sheet="${name}"]`)) continue;
    const link = ownerDocument.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL(`./${file}`, import.meta.url).href;
    link.dataset.fgSheet = name;
    place.append(link);
  }
}
