// Files that are dropped anywhere on the page.

import { icon, make } from "../dom.js";

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const isElsewhere = () => document.querySelector('[role="dialog"], dialog[open]');

/** `act` has `canTake()`, `says()`, which stands over the page meanwhile, and `take(files)`. Gives what ends it. */
export function listenForDrops(root, act) {
  const text = make("p", {});
  const over = make("div", { class: "fg-drop", popover: "manual", hidden: true, "aria-hidden": "true" }, icon("attach"), text);
  root.append(over);
  const show = (event) => {
    if (!hasFiles(event) || isElsewhere()) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy"; // also where nothing is taken: who drops is told why
    if (!over.hidden) return;
    text.textContent = act.says();
    over.toggleAttribute("data-off", !act.canTake());
    over.hidden = false;
    over.showPopover(); // above the sidebar too
  };
  const hide = () => {
    if (over.hidden) return;
    over.hidePopover();
    over.hidden = true;
  };
  const leave = (event) => event.relatedTarget || hide();
  const drop = (event) => {
    if (!hasFiles(event) || isElsewhere()) return;
    event.preventDefault(); // else the browser would open the file in the place of the page
    hide();
    act.take([...event.dataTransfer.files]);
  };
  const heard = { dragenter: show, dragover: show, dragleave: leave, dragend: hide, drop };
  for (const [name, hear] of Object.entries(heard)) document.addEventListener(name, hear);
  return () => {
    for (const [name, hear] of Object.entries(heard)) document.removeEventListener(name, hear);
    over.remove();
  };
}
