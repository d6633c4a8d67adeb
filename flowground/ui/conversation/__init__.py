"""A conversation as a door: messages and answers that grow over one WebSocket of a page, without Streamlit.

One JSON object a frame, `{"type": …}`. What a page may send stands in `frames.py`, what it is sent in `written.py` and
`broadcast.py`. `ConversationEndpoint` serves a socket whose caller the edge has settled; who they are, and whether the
flow is theirs, is asked anew at each of its messages.
"""

from flowground.ui.conversation.socket import ConversationEndpoint

__all__ = ["ConversationEndpoint"]
