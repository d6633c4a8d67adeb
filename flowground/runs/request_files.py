"""The files of a request: named by path or id in `files` or in tweaks, found, and checked before anything is stored.

Only this module knows how Langflow's clients name files: in `files` of the body, and in the tweak of a component that
takes files, as in `tweaks: {ChatInput: {files: [path]}}` and `{File: {path: path}}`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowground.components.base import Component, Models
from flowground.components.io import ChatInput
from flowground.components.knowledge import File
from flowground.core.caller import Caller, RunRequest, make_id
from flowground.core.errors import InvalidRequest, ProviderError
from flowground.core.values import FileReference, SentFile
from flowground.core.words import cut
from flowground.flows.field_values import unwrap_tweak
from flowground.flows.wiring import WiredFlow
from flowground.runs.files import FileRefused, find_file, refuse_kind, refuse_size
from flowground.store import Store
from flowground.store.runs.files import StoredFile

MOST_CHARS = 400
"""Characters of a path."""
NO_IMAGES = "The model of this flow sees no images."
_FILE_FIELDS: Mapping[type[Component], str] = {ChatInput: "files", File: "path"}
"""Component types that take files (as `Context.files`) -> the key of a tweak that names the files."""


class FileUnknown(InvalidRequest):
    """The file does not exist, or is not the caller's: both get the same error."""

    code = "file_unknown"

    def __init__(self, named: str) -> None:
        super().__init__(f"There is no file `{cut(named)}`.", hint="Upload it first, and send the path of the answer.")


async def take_files(store: Store, wired: WiredFlow, request: RunRequest, *, caller: Caller, most: int) -> RunRequest:
    """The request with the caller's files found, and without the tweaks that named them. A message takes `most` files.

    Raises FileUnknown, FileRefused and InvalidRequest.
    """
    if not request.files and not request.tweaks:
        return request
    named, tweaks = _read_tweaks(wired, request, caller)
    chat = wired.chat_input_id
    if request.files:
        if chat is None:
            raise FileRefused("This flow has no Chat Input, which takes files.")
        named[chat] = (*request.files, *named.get(chat, ()))
    if not named:
        return replace(request, tweaks=tweaks)
    if sum(map(len, named.values())) > most:
        raise InvalidRequest(f"A message takes {most} files at most.")
    owner = str(caller.owner)
    found = {name: [await _find(store, wired, path, owner) for path in paths] for name, paths in named.items()}
    for file in found.get(chat or "", ()):
        refuse_kind(file.reference.name, file.reference.media_type, wired.flow.chat.accepts)
        refuse_size(file.reference.name, file.reference.size, wired.flow.chat.file_bytes)
    sent = {name: tuple(map(_send, given)) for name, given in found.items()}
    taken = {name: tuple(one.reference for one in given) for name, given in sent.items()}
    return replace(
        request, tweaks=tweaks, taken_files=taken, sent_files=tuple(one for given in sent.values() for one in given)
    )


def list_taken(request: RunRequest, wired: WiredFlow) -> tuple[FileReference, ...]:
    """The files that are shown with the message: those of all components."""
    if not request.taken_files:
        return ()
    return tuple(one for name in wired.order for one in request.taken_files.get(name, ()))


async def _find(store: Store, wired: WiredFlow, named: str, owner: str) -> StoredFile:
    found = await find_file(store, named, owners=[owner]) if len(named) <= MOST_CHARS else None
    if found is None or found.flow_id not in (None, wired.id):
        raise FileUnknown(named)
    return found


def _send(file: StoredFile) -> SentFile:
    """A file as sent: an upload of a page moves into the message; a program's file or another message's is copied."""
    stays = file.message is not None or not file.owner.startswith(("member:", "visitor:", "local:"))
    reference = replace(file.reference, id=make_id()) if stays else file.reference
    return SentFile(reference, file.reference.id)


def _read_tweaks(
    wired: WiredFlow, request: RunRequest, caller: Caller
) -> tuple[dict[str, Sequence[str]], Mapping[str, Any]]:
    """Files that tweaks name, by component; and the other tweaks.

    The files are a part of the message: every caller may send them, whatever they may set.
    """
    named: dict[str, Sequence[str]] = {}
    kept: dict[str, Any] = {}
    for key, fields in request.tweaks.items():
        name = wired.policy.find_component(key, caller) if isinstance(fields, Mapping) else None
        if name is None and isinstance(fields, Mapping) and not caller.sees_inside:
            name = wired.chat_input_id  # any name is accepted, so that real ones cannot be guessed
        takes = _FILE_FIELDS.get(type(wired.components[name])) if name else None
        if name is None or takes is None or takes not in fields:
            kept[key] = fields
            continue
        if paths := _read_paths(key, takes, unwrap_tweak(fields[takes])):
            named[name] = (*named.get(name, ()), *paths)
        if others := {field: value for field, value in fields.items() if field != takes}:
            kept[key] = others
    return named, kept if named or len(kept) < len(request.tweaks) else request.tweaks


def _read_paths(key: str, takes: str, value: Any) -> Sequence[str]:
    paths = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(paths, Sequence) or not all(isinstance(path, str) for path in paths):
        raise InvalidRequest(f"`{cut(key)}.{takes}` is a path of a file, or a list of them.")
    return [path for path in paths if path]


def may_see_images(wired: WiredFlow, models: Models) -> bool:
    """Whether a model that is shown files sees images; True where no model is shown files."""
    shown = [
        component.list_models()
        for name, component in wired.components.items()
        if component.list_models() and "files" in wired.connections.get(name, {})
    ]
    return not shown or any(_may_see(models, model) for named in shown for model in named)


def refuse_images(wired: WiredFlow, models: Models, files: Collection[FileReference]) -> None:
    """Raises FileRefused for images that no model of the flow can see."""
    if any(is_image(file.media_type) for file in files) and not may_see_images(wired, models):
        raise FileRefused(NO_IMAGES, hint="Send the message without them.")


def is_image(media_type: str) -> bool:
    return media_type.startswith("image/")


def _may_see(models: Models, named: str | None) -> bool:
    try:
        provider, model = models.resolve(named)
    except ProviderError:
        return True  # the run itself raises the error
    return provider.takes(model).images
