"""How a flow is used, for its owners: `/usage?flow=ID`."""

from flowground.ui.publish import feedback, usage

caller, wired = feedback.open_own("Usage")
usage.draw_usage(caller, wired)
