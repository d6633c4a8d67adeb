"""Which files a page takes with a message, as its composer is told."""

from typing import Any

from flowground import runtime
from flowground.caller import Caller
from flowground.files.seen import NO_IMAGES, is_image, may_see_images
from flowground.media_types import list_endings, name_accepted
from flowground.wiring import WiredFlow


def describe_files(wired: WiredFlow, caller: Caller, *, sees_inside: bool) -> dict[str, Any]:
    """`most` files a message, of `bytes` each; `accept` is for the browser's own dialog. Where `most` is 0, `says` says
    why."""
    accepts = wired.flow.chat.accepts if wired.chat_input else ()
    is_blind = bool(accepts) and not may_see_images(wired, runtime.get().models)
    if is_blind and all(map(is_image, accepts)):
        return {"most": 0, "bytes": 0, "accept": "", "says": NO_IMAGES}
    if not accepts:
        why = " `accepts` in `chat` of its file lets it." if sees_inside and wired.chat_input else ""
        return {"most": 0, "bytes": 0, "accept": "", "says": f"This flow takes no files.{why}"}
    return {
        "most": runtime.get().settings.limits.message_files,
        "bytes": runtime.get().files.find_limit(caller.owner, wired.flow.chat.file_bytes),
        "accept": ",".join(list_endings(accepts)),
        "says": f"Add {name_accepted(accepts)}",
        "no_images": NO_IMAGES if is_blind else "",
    }
