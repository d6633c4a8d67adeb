"""How a flow is used, for its owners: `/usage?flow=ID`."""

from flowground.ui.publish import feedback

caller, wired = feedback.open_own("Usage")
feedback.render_usage(caller, wired)
