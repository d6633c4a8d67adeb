"""The WebSocket of conversations: what people send, and answers as they grow, without a run of a page's script.

One JSON object a frame, `{"type": …}`. `frames.py` has what a page may send, `messages.py` what it is sent, and
`broadcast.py` how one turn reaches every socket that shows its conversation. `ConversationEndpoint` serves a socket
whose caller the edge has settled; the caller's rights to the flow are checked again at each message.
"""

from flowground.ui.conversation.socket import ConversationEndpoint

__all__ = ["ConversationEndpoint"]
