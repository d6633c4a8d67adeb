// The conversation as a component of the page. Streamlit calls it again whenever its data or the theme changes, and
// cleans up only when it goes away: so what there is stays with its element.

import { adopt, repaint } from "./markdown.js";
import css from "./chat.css";
import filesCss from "./files.css";
import { make } from "./dom.js";
import { View } from "./chat/view.js";

export default function mount({ parentElement, data: [data], setTriggerValue }) {
  adopt(css);
  adopt(filesCss);
  let view = parentElement.fgView;
  if (view && view.data.flow === data.flow && view.data.mode === data.mode) {
    view.trigger = setTriggerValue;
    view.show(data);
  } else {
    view?.close();
    view?.root.remove();
    const root = make("div", { class: "fg-chat", "data-mode": data.mode });
    parentElement.append(root);
    view = parentElement.fgView = new View(root, data, setTriggerValue);
  }
  paint(view.root, data.accent);
  paintAround(parentElement);
  repaint(view.root);
  return () => {
    view.close();
    view.root.remove();
    parentElement.fgView = null;
  };
}

/** In the flow's own colour, where it has one. */
function paint(root, accent) {
  root.style.setProperty("--st-primary-color", accent?.main ?? "");
  root.style.setProperty("--st-link-color", accent?.link ?? "");
}

/** The page's head stays in reach while one reads: it needs the theme's colours, which Streamlit gives components alone. */
function paintAround(element) {
  const seen = getComputedStyle(element);
  for (const name of ["background-color", "border-color"])
    document.documentElement.style.setProperty(`--fg-${name}`, seen.getPropertyValue(`--st-${name}`));
}
