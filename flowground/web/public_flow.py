"""`/public_flow/{flow_id}` at a clean address.

Streamlit's frontend takes the whole address as its base: what it asks for below `/public_flow/{flow_id}/` is served as
if it stood at the root, and the flow's id travels in a header.
Observed in Streamlit 1.67; tests/test_web_pages.py guards it.
"""

import re

from starlette.types import Scope

from flowground.flow.addresses import RESERVED

PREFIX = "/public_flow"
_OWN = "|".join(sorted(RESERVED))
_ID = rf"(?!(?:{_OWN})(?:/|$))[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}"
_BELOW = re.compile(
    rf"^{PREFIX}(?:/(?P<flow>{_ID}))?"
    rf"(?P<rest>/(?:{_OWN})/.*|/favicon\.png|/manifest\.json)$"
)


def unwrap(scope: Scope) -> tuple[Scope, str | None]:
    """The scope as Streamlit expects it, and the id of the flow whose page asks."""
    path: str = scope["path"]
    if not path.startswith(PREFIX):
        return scope, None
    match = _BELOW.match(path)
    if match is None:
        return scope, None
    rest = match["rest"]
    return {**scope, "path": rest, "raw_path": rest.encode()}, match["flow"]
