"""What a snippet asks for: one value, from which every language's text is made."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self
from urllib.parse import quote

from flowground.caller import InputType, OutputType, RunRequest
from flowground.components.base import INPUT
from flowground.components.io import InputComponent, input_kind, output_kind
from flowground.components.knowledge import Retrieve
from flowground.errors import RequestError
from flowground.fields.policy import FieldPolicy
from flowground.tweaks import apply_tweaks, list_missing, name_option
from flowground.wiring import WiredFlow

VARIABLE = "FLOWGROUND_API_KEY"
"""Of the environment, from which code takes the application token."""
DEFAULT_MESSAGE = "tell me about something interesting"
CONVERSATION = "my-conversation"
"""An example of a session's id."""

Mode = Literal["simple", "stream", "langflow"]
"""What comes back: one flat object, server-sent events, or the body that Langflow sends."""
Shell = Literal["bash", "powershell"]
"""`bash` stands for zsh, fish and sh too."""

_QUERIES: Mapping[Mode, str] = {"simple": "?shape=simple", "stream": "?stream=sse&shape=simple", "langflow": ""}


@dataclass(frozen=True, slots=True)
class SnippetRequest:
    """`base_url` is the address as the visitor sees it, `flow_id` an id or endpoint name.

    `token` is written into the code; without it the code reads `FLOWGROUND_API_KEY`. `files` are names of files beside
    the script, which it uploads and sends with the message; one that `takes_files` may be given names when it is
    started. `shell` is where cURL is called. What `fit` finds: `may_wait`, the answer may be that a person must decide
    first; `cites`, it may name its sources; `gives_data`, it may be data; `has_several` answers.
    """

    base_url: str
    flow_id: str
    message: str = DEFAULT_MESSAGE
    session_id: str | None = None
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = "simple"
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    token: str | None = field(default=None, repr=False)
    shell: Shell = "bash"
    files: Sequence[str] = ()
    takes_files: bool = False
    may_wait: bool = False
    cites: bool = False
    gives_data: bool = False
    has_several: bool = False

    def fit(self, wired: WiredFlow, message: str | None = None) -> Self:
        """The request as it fits its flow: a flow without Chat Input is given text, one without Chat Output gives it.

        A tweak of the input component's own input becomes the message, since a call may not have both; without
        a message it is the component's own, as Langflow's snippets do, else what the chat's readers may begin with.
        What the flow's author requires has an example.
        """
        input_type, output_type = find_types(wired)
        inputs = {
            name: item.input_value
            for name, item in wired.components.items()
            if isinstance(item, InputComponent) and item.kind == input_type
        }
        tweaked, kept = _take_input(self.tweaks, {*inputs, *(wired.display_names[name] for name in inputs)})
        own = next(filter(None, inputs.values()), None)
        said = next((text for text in (tweaked, message, own) if text is not None), find_starter(wired))
        kept |= _fill_missing(wired, RunRequest(said, input_type, tweaks=kept))
        answers = [name for name in wired.outputs if output_kind(wired.components[name]) == output_type]
        shown = [reference for name in answers for reference in wired.shows.get(name, ())]
        return replace(
            self,
            message=said,
            tweaks=kept,
            input_type=input_type,
            output_type=output_type,
            takes_files=bool(wired.flow.chat.accepts),
            may_wait=wired.asks_people,
            cites=any(isinstance(item, Retrieve) for item in wired.components.values()),
            gives_data=any(wired.ports[one.component][wired.find_port(one)] in ("data", "records") for one in shown),
            has_several=len(answers) > 1,
        )

    @property
    def url(self) -> str:
        """The run endpoint's address with its query."""
        return f"{self.base_url.rstrip('/')}/api/v1/run/{quote(self.flow_id, safe='')}{_QUERIES[self.mode]}"

    @property
    def flow_url(self) -> str:
        """Where the server says what the flow is called and takes."""
        return f"{self.base_url.rstrip('/')}/api/v1/flows/{quote(self.flow_id, safe='')}"

    @property
    def runs_url(self) -> str:
        """Where runs are; `/{run_id}/decisions` takes what a person says of a call that waits."""
        return f"{self.base_url.rstrip('/')}/api/v1/runs"

    @property
    def upload_url(self) -> str:
        """Where a file is uploaded that a message may name by its id."""
        return f"{self.base_url.rstrip('/')}/api/v2/files/"

    def write_body(self, message: object, files: object = None) -> dict[str, Any]:
        """The JSON body with `message` and `files` in their places; fields that say the API's default are left out, and
        a message of None: the flow has its own. Raises ValueError where a tweak is no JSON value.
        """
        fields = {
            "input_value": message,
            "input_type": None if self.input_type == "chat" else self.input_type,
            "output_type": None if self.output_type == "chat" else self.output_type,
            "session_id": self.session_id or None,
            "tweaks": _copy_as_json(self.tweaks) or None,
            "files": files,
        }
        return {name: value for name, value in fields.items() if value is not None}


def remembers(wired: WiredFlow) -> bool:
    """Whether the flow, or one that it runs, reads earlier messages of its conversation."""
    flows = (wired, *wired.inner_flows.values())
    return any(getattr(item, "n_messages", 0) for one in flows for item in one.components.values())


def find_starter(wired: WiredFlow) -> str:
    """An example of a message, for whoever may use the flow: the first with which its chat offers to begin."""
    return next(iter(wired.flow.chat.starters), DEFAULT_MESSAGE)


def write_description_url(base_url: str) -> str:
    """Where the API is described for programs, as OpenAPI."""
    return f"{base_url.rstrip('/')}/api/openapi.json"


def find_types(wired: WiredFlow) -> tuple[InputType, OutputType]:
    """`input_type` and `output_type` of a call to this flow: "chat" where it has such a component, else "text"."""
    takes = {input_kind(item) for item in wired.components.values()}
    gives = {output_kind(item) for item in wired.components.values()}
    return (
        "text" if "text" in takes and "chat" not in takes else "chat",
        "text" if "text" in gives and "chat" not in gives else "chat",
    )


def _take_input(tweaks: Mapping[str, Any], names: set[str]) -> tuple[str | None, dict[str, Any]]:
    """The text that tweaks give to the components `names` as their own input, and the tweaks that are left."""
    text, kept = None, dict(tweaks)
    for name in names & tweaks.keys():
        fields = tweaks[name]
        value = fields.get(INPUT) if isinstance(fields, Mapping) else None
        value = value.get("value") if isinstance(value, Mapping) else value
        if not isinstance(value, str):
            continue
        text = value
        kept[name] = {key: item for key, item in fields.items() if key != INPUT}
        if not kept[name]:
            del kept[name]
    return text, kept


def _fill_missing(wired: WiredFlow, request: RunRequest) -> dict[str, dict[str, Any]]:
    """The tweaks of components that lack a required option, with an example of it."""
    if not wired.policy.required:
        return {}
    with suppress(RequestError):
        wired = apply_tweaks(wired, request, unknown="warn").wired
    filled: dict[str, dict[str, Any]] = {}
    for option in list_missing(wired, request):
        given = request.tweaks.get(option.component)
        fields = filled.setdefault(option.component, dict(given) if isinstance(given, Mapping) else {})
        fields[option.name] = _make_example(option, name_option(wired, option))
    return filled


def _make_example(option: FieldPolicy, title: str) -> Any:
    if option.choices:
        return option.choices[0]
    if option.type.is_number:
        return next((bound for bound in (option.min, option.max) if bound is not None), 1)
    return title


def _copy_as_json(value: Mapping[str, Any]) -> Any:
    try:
        return json.loads(json.dumps(value, default=dict, allow_nan=False))
    except TypeError as error:
        raise ValueError(f"a tweak is no JSON value: {error}") from None
