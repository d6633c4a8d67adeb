"""The shareable playground, `/public_flow/{flow_id}`: chat only. It shows nothing of the flow's inside."""

from flowground.ui.chat.chat import render_playground
from flowground.ui.chat.chat_menu import Conversation, find_session
from flowground.ui.page.bridge import read_shared_flow, require_caller
from flowground.ui.publish import header, publish
from flowground.ui.shell import opening
from flowground.ui.shell.navigation import render_sidebar

address = read_shared_flow() or ""
publish.render_preview(require_caller(), address)
caller, wired = opening.open_flow(address)
header.render_branding(caller, wired)
render_sidebar(caller)
render_playground(Conversation(caller, wired, find_session(wired.id)))
