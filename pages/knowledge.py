"""A flow's knowledge, for who sees its inside: `/knowledge?flow=ID`; without a flow, the knowledge of all flows."""

from flowground.ui.inside.knowledge import render_page

render_page()
