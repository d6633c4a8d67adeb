"""What a request takes of a flow, and gives to it: which outputs it wants and may see, and what was said."""

from flowground.caller import Caller, RunRequest
from flowground.components.io import output_kind
from flowground.errors import InvalidRequest, NotAllowed
from flowground.wiring import WiredFlow
from flowground.words import list_names


def select_outputs(wired: WiredFlow, request: RunRequest, *, sees_inside: bool = True) -> tuple[str, ...]:
    """Ids of the components whose results the request wants, by Langflow's rules.

    `output_component` (id or display name) comes first; an unknown one selects nothing. Else `output_type` selects
    "chat" or "text" outputs, "any" all outputs, "debug" every component; no match means all outputs. By the
    component's type, where Langflow looks for the word in its id: ids are free here. Without `sees_inside` no component
    is there but the flow's outputs: the others' texts are prompts.
    """
    there = wired.order if sees_inside else wired.outputs
    if wanted := request.output_component:
        if wanted in there:
            return (wanted,)
        return tuple(name for name in there if wired.display_names[name] == wanted)
    if request.output_type == "debug":
        return there
    kind = request.output_type
    matching = tuple(name for name in wired.outputs if output_kind(wired.components[name]) == kind)
    return matching or wired.outputs


def refuse_unseen_outputs(caller: Caller, wired: WiredFlow, request: RunRequest) -> None:
    """Raises NotAllowed where only a token keeps what is asked for from its caller: more than the flow's outputs say;
    InvalidRequest where an output is not there that must be.

    What is inside and what is not there are refused alike.
    """
    hint = caller.name_better_token("sees") if caller.token_hides_inside else None
    is_there = finds_output(wired, request, sees_inside=caller.sees_inside)
    if request.must_find_output and not is_there:
        says = "`output_component` names no output of this flow."
        place = {"type": "output_unknown", "loc": ["body", "output_component"], "msg": says}
        raise InvalidRequest(says, problems=[place], hint=hint or f"Its outputs: {list_names(wired.outputs)}.")
    if hint and not (is_there and (request.output_component or request.output_type != "debug")):
        says = "This token sees what the outputs of a flow say, and nothing before them."
        raise NotAllowed(says, code="token_may_not_see", hint=hint)


def finds_output(wired: WiredFlow, request: RunRequest, *, sees_inside: bool) -> bool:
    """Whether the one output is there that is asked for by name, or none is."""
    return not request.output_component or bool(select_outputs(wired, request, sees_inside=sees_inside))


def read_input(wired: WiredFlow, request: RunRequest) -> str | None:
    """What the person said, for the session's history: the given text, else the Chat Input's own."""
    if (component := wired.chat_input) is None:
        return request.input_value
    given = request.find_message("chat")
    return component.input_value if given is None else given
