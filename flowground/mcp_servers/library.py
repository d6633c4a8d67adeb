"""What we use of the package `mcp`; all of it is imported here, so that importing it changes nothing of uvicorn.

`mcp` brings a server of its own along, whose streams (sse-starlette 3.7) put a method of theirs in the place of
`uvicorn.Server.handle_exit` while they are imported. No stream of theirs is ever served here, so it is put back.
"""

import sys
from typing import Any

import mcp_types as mcp_types
from mcp import Client as Client
from mcp import MCPError as MCPError
from mcp.client.stdio import get_default_environment as get_default_environment
from mcp.client.streamable_http import streamable_http_client as streamable_http_client
from mcp.client.subscriptions import SubscriptionLost as SubscriptionLost
from mcp.shared.message import SessionMessage as SessionMessage

_streams: Any = sys.modules.get("sse_starlette.sse")
if _streams and _streams.Server.handle_exit is _streams.AppStatus.handle_exit:
    _streams.Server.handle_exit = _streams.AppStatus.original_handler
