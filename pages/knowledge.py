"""What a flow looks things up in, for who sees its inside: `/knowledge?flow=ID`; without a flow, what all share."""

from flowground.ui.inside.knowledge import render_page

render_page()
