// @ts-check
/** Draws diagrams by Mermaid, which is loaded when the first one comes: one at a time into its figure, and cleaned once more
 * before it is shown. */

import { make } from "./dom.js";

const MOST_TEXT = 20_000;
const ALLOWED_LINK = /^(?:https?:\/\/|mailto:)/i;
let last = Promise.resolve(), count = 0;

/** One that cannot be read stays as its code. */
export const drawDiagram = (figure) => drawPicture(figure).catch(() => figure.classList.add("fg-failed"));

function drawPicture(figure) {
  last = last.then(() => draw(figure));
  const mine = last;
  last = last.catch(() => {});
  return mine;
}

/** Those within `root` whose colours are another theme's, in the colours of this one. */
export function repaint(root) {
  for (const region of root.querySelectorAll(".fg-code > .fg-diagram"))
    if (region.dataset.ground !== readGround(region)) drawPicture(region.parentElement).catch(() => {});
}

const readGround = (element) => getComputedStyle(element).getPropertyValue("--st-background-color");

async function draw(figure) {
  const ground = readGround(figure);
  const picture = await makePicture(figure.querySelector("code").textContent, figure);
  const label = picture.querySelector("title")?.textContent || "Diagram";
  const { width } = picture.viewBox.baseVal;
  if (width > 0) picture.style.minWidth = `min(${Math.ceil(width)}px, 30rem)`;
  const region = make("div", { class: "fg-diagram fg-scroll", tabindex: "0", role: "img", "aria-label": label, "data-ground": ground }, document.importNode(picture, true));
  const before = figure.querySelector(":scope > .fg-diagram");
  if (before) return before.replaceWith(region);
  figure.append(region);
  const press = ({ currentTarget }) => currentTarget.setAttribute("aria-pressed", String(!figure.classList.toggle("fg-drawn")));
  const button = make("button", { type: "button", class: "fg-button fg-source", "aria-pressed": "false", click: press }, "Show the code");
  figure.classList.add("fg-drawn");
  return figure.querySelector(".fg-code-bar .fg-button").before(button);
}

/** The picture that a text describes, in the colours of the theme where `element` stands. */
export async function makePicture(text, element) {
  if (!text.trim() || text.length > MOST_TEXT) throw new Error("too much");
  const { default: mermaid } = await import("mermaid");
  mermaid.initialize(chooseSettings(element));
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  if (namesImages(db)) throw new Error("images");
  const { svg } = await mermaid.render(`fg-diagram-${++count}`, text);
  return clean(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement);
}

/** Whether it has shapes or actors with images: Mermaid 12.3 asks for their addresses while it draws. */
function namesImages(db) {
  const actors = [...(db.getActors?.().values?.() ?? [])];
  return !!db.getData?.().nodes?.some(({ img }) => img) || actors.some(({ properties }) => properties?.icon);
}

/** Colours of the theme, and no way for a text to choose its own settings.
 * @returns {import("mermaid").MermaidConfig} */
function chooseSettings(figure) {
  const style = getComputedStyle(figure), pick = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const background = pick("--st-background-color", "#ffffff"), text = pick("--st-text-color", "#1b1f2a");
  const themeVariables = {
    background, primaryColor: pick("--st-secondary-background-color", "#f5f6fb"), primaryTextColor: text, textColor: text,
    primaryBorderColor: pick("--st-primary-color", "#4f46e5"), lineColor: pick("--st-gray-text-color", "#5f6577"),
    fontFamily: pick("--st-font", "sans-serif"), fontSize: "14px", useGradient: false, dropShadow: "none",
  };
  return {
    startOnLoad: false, securityLevel: "strict", htmlLabels: false, flowchart: { htmlLabels: false }, layout: "dagre", theme: "base", themeVariables,
    darkMode: style.colorScheme === "dark", maxTextSize: MOST_TEXT, maxEdges: 300, suppressErrorRendering: true, deterministicIds: true, logLevel: 5,
    secure: ["secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering", "htmlLabels", "theme", "themeVariables", "themeCSS", "fontFamily", "altFontFamily", "darkMode", "dompurifyConfig", "layout", "look", "logLevel"],
  };
}

/** Only shapes and text: nothing that runs, loads or leaves the picture. */
export function clean(svg) {
  if (svg.nodeName.toLowerCase() !== "svg") throw new Error("no picture");
  for (const element of [...svg.querySelectorAll("*"), svg]) {
    const tag = element.nodeName.toLowerCase();
    if (["script", "foreignobject", "image", "iframe", "object", "embed", "animate", "set", "animatetransform", "animatemotion"].includes(tag)) element.remove();
    else if (tag === "style" && /@import|url\(\s*["']?(?!#)|expression/i.test(element.textContent)) element.remove();
    else for (const { name, value } of [...element.attributes]) cleanAttribute(element, name.toLowerCase(), value, name);
  }
  return svg;
}

function cleanAttribute(element, lower, value, name) {
  const isLink = lower === "href" || lower === "xlink:href";
  if (lower.startsWith("on")) element.removeAttribute(name);
  else if (isLink && !value.startsWith("#") && !(element.nodeName.toLowerCase() === "a" && ALLOWED_LINK.test(value))) element.removeAttribute(name);
  else if (/url\(\s*["']?(?!#)/i.test(value)) element.removeAttribute(name);
  if (isLink && element.hasAttribute(name) && element.nodeName.toLowerCase() === "a") {
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noreferrer noopener");
  }
}
