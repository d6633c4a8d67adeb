"""A *Copy* button of our own: visible, in the tab order, under a thumb; it says that it has copied.

Streamlit's code blocks have one that is neither to be reached by keyboard nor to be seen without a mouse; theirs is
hidden where ours stands.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from flowground.ui.page.keys import make_key

_HTML = """
<button type="button"><span aria-hidden="true" class="icon"></span><span class="word">Copy</span></button>
<span class="said" role="status"></span>
"""
_CSS = """
button { display: inline-flex; vertical-align: top; align-items: center; justify-content: center; gap: 0.375rem;
  min-height: 2.5rem; min-width: 6.25rem; padding: 0 0.75rem;  /* as wide as "Copied": nothing beside it moves */
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 0.5rem); cursor: pointer;
  background: var(--st-background-color); color: var(--st-text-color); font: inherit; font-size: 0.875rem;
  font-family: var(--st-font); white-space: nowrap; }
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.icon { position: relative; width: 0.6875rem; height: 0.75rem; border: 1.5px solid currentColor;
  border-radius: 2px; box-sizing: border-box; margin: 2px 0 0 2px; }
.icon::before { content: ""; position: absolute; left: -4.5px; top: -4.5px; width: 0.5rem; height: 0.5625rem;
  border: 1.5px solid currentColor; border-right: 0; border-bottom: 0; border-radius: 2px 0 0; box-sizing: border-box; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
button.primary { background: var(--st-primary-color); border-color: var(--st-primary-color); color: #fff; }
button.primary:hover { color: #fff; filter: brightness(0.92); }
@media (pointer: coarse), (max-width: 480px) { button { min-height: 44px; padding: 0 0.875rem; } }
"""
_JS = """
async function copy(root, text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");  // a page that did not come by https has no clipboard
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  area.style.cssText = "position: fixed; opacity: 0";
  root.appendChild(area);
  area.select();
  const is_done = document.execCommand("copy");
  area.remove();
  if (!is_done) throw new Error("refused");
}

export default function ({ parentElement, data: [data] }) {
  const button = parentElement.querySelector("button");
  const word = parentElement.querySelector(".word");
  const said = parentElement.querySelector(".said");
  let timer;
  const show = (text, status) => { word.textContent = text; said.textContent = status; };
  word.textContent = data.label;
  button.classList.toggle("primary", data.primary);
  button.setAttribute("aria-label", data.what ? `${data.label} ${data.what}` : data.label);
  button.onclick = async () => {
    clearTimeout(timer);
    button.style.minWidth = `${button.getBoundingClientRect().width}px`;  // what is beside it stays where it is
    try {
      await copy(parentElement, data.text);
      button.focus();
      show("Copied", "Copied");
    } catch {
      show("Not copied", "Your browser did not allow copying: select the text and copy it by hand.");
    }
    timer = setTimeout(() => show(data.label, ""), 2000);
  };
  return () => clearTimeout(timer);
}
"""


def draw_copy(text: str, *, what: str = "", label: str = "Copy", key: str, is_primary: bool = False) -> None:
    """The button; `what` it copies, as in "the link", is a part of its name where the label does not say it."""
    mount = st.components.v2.component("flowground.copy", html=_HTML, css=_CSS, js=_JS)
    data = {"text": text, "label": label, "what": what, "primary": is_primary}
    mount(key=make_key(f"copy:{key}"), data=[data], width="content")


@contextmanager
def hide_other_button(key: str) -> Iterator[None]:
    """A part of the page in which blocks of code have no button of Streamlit's."""
    with st.container(key=f"copied:{key}", gap="xsmall"):
        yield
