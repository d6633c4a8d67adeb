"""What people say of a flow's answers, for its owners: `/feedback?flow=ID`."""

from flowground.ui.publish import feedback

caller, wired = feedback.open_own("Feedback")
feedback.render_feedback(caller, wired)
