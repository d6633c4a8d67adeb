"""A chat that a colleague shared: `/shared_chat?id=…`, for members who may open its flow."""

import streamlit as st

from flowground.ui.chat.reading import render_shared
from flowground.ui.page.bridge import require_caller

render_shared(require_caller(), st.query_params.get("id", ""))
