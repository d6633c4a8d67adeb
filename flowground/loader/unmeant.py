"""What loads and runs, and was likely not meant so: names that nothing has, plain text that looks like a reference, and
models that are asked for nothing."""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple

from flowground.components.connectors import SQL, PythonFunction
from flowground.components.io import input_kind, output_kind
from flowground.components.knowledge import Retrieve
from flowground.components.memory import StoreMessage
from flowground.components.template import VariablesTool
from flowground.errors import RunError
from flowground.functions import OwnFunction
from flowground.wiring import WiredFlow
from flowground.words import list_names
from flowground.yaml_file.document import Problems

_NAME = r"([^\s.{}?$][^.{}?$\n]{0,126}?)((?:\.\w+)?)"
_DOUBLE = re.compile(rf"\$?\{{\{{ *{_NAME} *\}}\}}")
"""As other tools write a reference: `{{ Model.text }}`, `${{ Model.text }}`."""
_SINGLE = re.compile(rf"(?<![${{]){{{_NAME}}}(?!\}})")
_WHOLE = re.compile(rf"\A\s{{0,9}}{_NAME}\s{{0,9}}\Z")
_INPUTS = {"input_value", "input_text", "message", "search_query", "system_message", "system_prompt"}
"""Fields whose whole text is rarely one word, and so the name of a component by chance."""
_FAILS = "a run that comes here fails"


class ConfigNames(NamedTuple):
    """What flows may name of config.yaml: knowledge, databases and functions. `find_function` raises RunError."""

    knowledge: Collection[str]
    databases: Collection[str]
    find_function: Callable[[str], OwnFunction]


def add_warnings(wired: WiredFlow, names: ConfigNames | None) -> WiredFlow:
    """The flow with a warning for each; without `names` it is not known which there are."""
    problems = Problems(wired.flow.file)
    _warn_of_plain_text(wired, problems)
    _warn_of_unused_models(wired, problems)
    if names:
        _warn_of_names(wired, names, problems)
    return replace(wired, flow=replace(wired.flow, warnings=(*wired.flow.warnings, *problems.warnings)))


def _warn_of_plain_text(wired: WiredFlow, problems: Problems) -> None:
    """Where the name of a component stands as other tools refer to it; templates have `{variables}` of their own."""
    ids = {name.casefold(): name for name in wired.components}
    for name, component in wired.components.items():
        spec, fields = wired.flow.components[name], wired.policy.fields[name]
        variables = component.list_variables(spec.fields) if isinstance(component, VariablesTool) else ()
        taken = {name, *variables, *spec.fields}
        for key, value in spec.fields.items():
            field = fields[key].type
            if not isinstance(value, str) or field.is_template or not field.takes_references:
                continue
            tried = (_DOUBLE, _SINGLE, *([_WHOLE] if key in _INPUTS and input_kind(component) is None else []))
            for found in (found for pattern in tried for found in pattern.finditer(value)):
                meant = ids.get(found[1].casefold())
                if meant and meant not in taken and (found.re is not _WHOLE or found[1] == meant):
                    port = found[2] if found[2][1:] in wired.ports[meant] else ""
                    says = f"`{found[0]}` is plain text here: a reference to the component is `${{{meant}{port}}}`"
                    problems.warn(spec.places[key].find_position(value, found.start()), says, value=found[0])


def _warn_of_unused_models(wired: WiredFlow, problems: Problems) -> None:
    """Components that ask a model, which is paid, and lead to no answer and to nothing else that is done."""
    used, wanted = set[str](), [name for name in wired.order if _does_something(wired, name)]
    while wanted:
        name = wanted.pop()
        if name not in used:
            used.add(name)
            wanted += wired.waits_for[name]
    for name in wired.order:
        if name not in used and wired.components[name].list_models():
            says = f"`{name}` asks a model in every run, and nothing uses what it says"
            problems.warn(wired.flow.components[name].position, says, value=name)


def _does_something(wired: WiredFlow, name: str) -> bool:
    one = wired.components[name]
    return name in wired.tools or bool(output_kind(one) or one.writes or one.list_flows()) or type(one) is StoreMessage


def _warn_of_names(wired: WiredFlow, names: ConfigNames, problems: Problems) -> None:
    """Another config.yaml may have them."""
    known = [*wired.flow.knowledge, *names.knowledge]
    for name, component in wired.components.items():
        if isinstance(component, Retrieve) and component.knowledge not in known:
            says = f"There is no knowledge `{component.knowledge}` here or in config.yaml: {_FAILS}"
            at = wired.flow.components[name].places["knowledge"].value
            problems.warn(at, says, value=component.knowledge, choices=known)
        elif isinstance(component, SQL) and component.database not in names.databases:
            says = f"There is no database `{component.database}` in config.yaml: {_FAILS}"
            at = wired.flow.components[name].places["database"].value
            problems.warn(at, says, value=component.database, choices=names.databases)
        elif isinstance(component, PythonFunction):
            _warn_of_function(wired, name, component, names.find_function, problems)


def _warn_of_function(
    wired: WiredFlow, name: str, own: PythonFunction, find: Callable[[str], OwnFunction], problems: Problems
) -> None:
    spec, function = wired.flow.components[name], own.function
    try:
        parameters = find(function).parameters
    except RunError as error:
        says = f"{error.message.removesuffix('.')}: {_FAILS}"
        problems.warn(spec.places["function"].value, says, value=function)
        return
    known, given = parameters.get("properties", {}), {**own.arguments, **(own.model_extra or {})}
    for key in given:
        if key not in known:
            place = spec.places[key].key if key in spec.places else spec.places["arguments"].value
            problems.warn(place, f"`{function}` has no argument `{key}`: {_FAILS}", value=key, choices=known)
    missing = [key for key in parameters["required"] if key not in given]
    if missing and name in wired.order and "arguments" not in wired.connections.get(name, ()):
        says = f"`{function}` needs {list_names(f'`{key}`' for key in missing)}: {_FAILS}"
        problems.warn(spec.position, says, value=name)
