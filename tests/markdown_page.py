"""A page that draws a text of the corpus. `?way=ours&block=table`: by our module; `native`: as `st.markdown` does."""

from flowground.ui.assets import find_asset
from tests.markdown_corpus import read_corpus

import streamlit as st  # isort: skip

DRAW = """
// In a component of its own, as the conversation has it.
export default async ({ parentElement, data }) => {
  if (parentElement.querySelector(".answer")) return;
  const root = document.createElement("div");
  root.className = "answer";
  parentElement.append(root);
  const { Growing } = await import(new URL(data.module, location.origin));
  const answer = new Growing(root);
  for (const piece of data.pieces) answer.add(piece);
  await answer.end();
  root.dataset.done = "yes";
};
"""
asked = st.query_params
text = "\n\n".join(read_corpus()[block] for block in asked.get_all("block"))
match asked.get("way"):
    case "native":
        st.markdown(text)
    case _:
        component = st.components.v2.component("answer", js=DRAW, isolate_styles=False)
        component(key="answer", data={"module": find_asset("markdown.js"), "pieces": [text]})
