// Versions of a question: which one is shown, and the way to the others; and the field in which one is edited.

import { isSending, isTouched, make, makeIconButton } from "../dom.js";

/** `‹ 2/3 ›`: `ids` are the versions in their order, of which `place` is shown; `choose(id, step)`. Null where there is one. */
export function makeVersions(ids, place, choose) {
  if (ids.length < 2) return null;
  const makeStep = (name, label, step) => {
    const id = ids[place + step];
    const button = makeIconButton(name, label, () => choose(id, step), { disabled: !id });
    button.dataset.step = step;
    return button;
  };
  const said = `${place + 1}/${ids.length}`;
  return make(
    "div",
    { class: "fg-versions fg-idle", role: "group", "aria-label": `Version ${place + 1} of ${ids.length}` },
    makeStep("previous", "Previous version", -1),
    make("span", { "aria-hidden": "true" }, said),
    makeStep("next", "Next version", 1),
  );
}

/** Where a keyboard goes on after another version was chosen by one of these buttons. */
export function focusVersions(element, step) {
  const buttons = [...element.querySelectorAll(".fg-versions button")];
  const wanted = buttons.find((button) => Number(button.dataset.step) === step && !button.disabled);
  (wanted ?? buttons.find((button) => !button.disabled))?.focus({ preventScroll: true });
}

/** A question as a field. `act` has `send(text)`, `keep(text)` and `cancel()`. */
export function makeEditor(text, act) {
  const box = make("textarea", { dir: "auto", rows: 1, "aria-label": "Edit your message", enterkeyhint: isTouched() ? "enter" : "send", autocomplete: "off" });
  const send = make("button", { type: "button", class: "fg-way fg-edit-send", click: () => submit() }, "Send");
  const cancel = make("button", { type: "button", class: "fg-way", click: () => act.cancel() }, "Cancel");
  const fit = () => {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
    send.disabled = !box.value.trim();
  };
  const submit = () => box.value.trim() && act.send(box.value);
  box.value = text;
  box.addEventListener("input", () => {
    fit();
    act.keep(box.value);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const isSend = isSending(event);
    if (!isSend && event.key !== "Escape") return;
    event.preventDefault();
    if (isSend) submit();
    else act.cancel();
  });
  const element = make("div", { class: "fg-editor" }, box, make("div", { class: "fg-editor-ways" }, cancel, send));
  const open = () => {
    fit();
    box.focus({ preventScroll: true });
    box.setSelectionRange(box.value.length, box.value.length);
  };
  return { element, open };
}
