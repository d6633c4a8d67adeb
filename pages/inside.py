"""The inside of a flow, for who may see it: `/inside?flow=ID`, or `?file=NAME.yaml` for a file that is no flow yet."""

from flowground.ui.inside.inside import render_page

render_page()
