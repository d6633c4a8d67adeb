// A picture over the whole page. Escape, Back, the cross and a click beside it close it; arrows go to the next one.

import { make, makeIconButton } from "../dom.js";

/** `pictures` are those of one message, `file` the one that is shown first, `from` the element that it was opened from. */
export function showLarge(pictures, file, { address, from }) {
  let at = pictures.indexOf(file);
  const shown = make("img", {});
  const name = make("strong", { dir: "auto" });
  const place = make("span", { class: "fg-large-place" });
  const save = make("a", { class: "fg-way" }, "Save");
  const close = makeIconButton("clear", "Close", () => back());
  const steps = pictures.length > 1 ? [makeStep("previous", "Previous picture", -1), makeStep("next", "Next picture", 1)] : [];
  const head = make("header", {}, name, place, ...steps, save, close);
  const box = make("dialog", { class: "fg-large" }, head, make("div", { class: "fg-large-stage" }, shown));

  function makeStep(icon, label, by) {
    return makeIconButton(icon, label, () => go(by));
  }

  function go(by) {
    at = (at + by + pictures.length) % pictures.length;
    const { id, name: called } = pictures[at];
    shown.setAttribute("src", address("image", { id }));
    shown.setAttribute("alt", called);
    box.setAttribute("aria-label", called);
    name.textContent = called;
    place.textContent = pictures.length > 1 ? `${at + 1} of ${pictures.length}` : "";
    save.setAttribute("href", address("download", { id }));
    save.setAttribute("download", called);
  }

  const back = holdBack(() => {
    box.close();
    box.remove();
    from.focus({ preventScroll: true });
  });
  box.addEventListener("cancel", (event) => {
    event.preventDefault();
    back();
  });
  box.addEventListener("click", (event) => !event.target.closest("header, img") && back());
  box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && steps.length) go(by);
  });
  go(0);
  from.closest(".fg-chat").append(box);
  box.showModal();
  close.focus();
}

/** The browser's Back is what closes: whoever goes back by the function that is given, or by themselves, ends it once. */
function holdBack(end) {
  let address = location.href;
  const hear = (event) => {
    event.stopImmediatePropagation(); // the page's own router has nothing to do with it
    removeEventListener("popstate", hear, { capture: true });
    if (location.href !== address) history.replaceState(history.state, "", address); // it was named meanwhile
    end();
  };
  history.pushState(history.state, "", address);
  addEventListener("popstate", hear, { capture: true });
  return () => {
    address = location.href;
    history.back();
  };
}
