"""Python functions of the operator that flows may call, from the modules that `functions:` of config.yaml names.

No text of a flow file is run as Python: the file names an existing function, whose signature defines the arguments and
whose docstring describes it. A function runs in this process with all its rights; a plain function (no coroutine) runs
in a thread of this module's pool.
"""

import asyncio
import importlib
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from flowground.core.errors import ConfigError, RunError
from flowground.core.words import suggest
from flowground.core.yaml_file import ConfigSection, check_pattern

_log = logging.getLogger(__name__)
_Module = Annotated[
    str, check_pattern(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", "must be names of modules, like ours.orders")
]
_SAID = re.compile(r"^[ \t]+(\w+)(?: *\([^)]*\))?: +(.+)$", re.MULTILINE)
_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MOST_LEFT = 64
"""The most calls that were given up and have not returned; each keeps its thread, but no place among `_AT_ONCE`."""
_SHOWN = 300
_AT_ONCE = 8
"""Functions in threads at once; further ones wait, and the wait counts in their time."""


class FunctionSettings(ConfigSection):
    """Functions of the operator's own."""

    modules: tuple[_Module, ...] = Field(
        (),
        description="Modules, installed or beside this file, whose public functions flows may call. They run in "
        "this process, with all its rights.",
    )
    seconds: float = Field(30, gt=0, le=600, description="Longest call of a function.")


class NoTool(Exception):
    """Why flows cannot call a function, as the end of a sentence."""


def read_signature(function: Callable[..., Any]) -> tuple[str, type[BaseModel], Mapping[str, Any]]:
    """A function's description, the model that validates its arguments, and their JSON Schema, an object. Raises
    NoTool."""
    doc = inspect.getdoc(function) or ""
    said = dict(_SAID.findall(doc))
    try:
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in _PLAIN or name.startswith("_"):
                raise NoTool(f"has an argument that has no plain name: `{parameter}`")
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints.get(name, str), Field(default, description=said.get(name)))
        arguments = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
        schema = arguments.model_json_schema()
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise NoTool(f"has arguments that no JSON describes: {str(error).splitlines()[0]}") from None
    description = " ".join(doc.split("\n\n")[0].split())
    parameters = {"type": "object", "required": [], **schema, "additionalProperties": False}
    return description, arguments, {key: part for key, part in parameters.items() if key != "title"}


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """A function that flows may call. `name` is `module.function`; `call` returns JSON values, and raises RunError."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Any]


class Functions:
    """Imports the modules of the settings, some of which may lie in `root`. Raises ConfigError."""

    def __init__(self, settings: FunctionSettings, root: Path) -> None:
        self._seconds = settings.seconds
        self._threads = ThreadPoolExecutor(_AT_ONCE + _MOST_LEFT, thread_name_prefix="flowground-function")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._left: set[Future[Any]] = set()
        if settings.modules and str(root) not in sys.path:
            sys.path.append(str(root))
        self._known = {one.name: one for name in settings.modules for one in self._read_module(name)}

    def find(self, name: str) -> OwnFunction:
        """The function of this name. Raises RunError."""
        if found := self._known.get(name):
            return found
        nearest = suggest(name, self._known, otherwise=".")
        hint = "Public functions of the modules in `functions.modules` of config.yaml can be called."
        raise RunError(f"There is no function `{name}`{nearest}", hint=hint)

    def close(self) -> None:
        """Starts no more calls; running threads cannot be stopped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read_module(self, name: str) -> Iterator[OwnFunction]:
        for own, function in vars(_load(name)).items():
            full = f"{name}.{own}"
            if not inspect.isfunction(function) or function.__module__ != name or own.startswith("_"):
                continue  # another module's, or for the module alone
            try:
                description, arguments, parameters = read_signature(function)
            except NoTool as why:
                raise ConfigError(f"functions.modules: `{full}` {why}; a name with `_` before it is left out") from None
            yield OwnFunction(full, description, parameters, partial(self._call, full, function, arguments))

    async def _call(
        self, name: str, function: Callable[..., Any], takes: type[BaseModel], given: Mapping[str, Any]
    ) -> Any:
        try:
            checked = takes.model_validate(dict(given))
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, detail["loc"]))
            raise RunError(f"`{where}` of `{name}` does not fit: {detail['msg']}.") from None
        arguments = {key: getattr(checked, key) for key in type(checked).model_fields}
        try:
            async with asyncio.timeout(self._seconds):
                if inspect.iscoroutinefunction(function):
                    result = await function(**arguments)
                else:
                    result = await self._run_in_thread(name, partial(function, **arguments))
                return to_jsonable_python(result)
        except TimeoutError:
            raise RunError(f"`{name}` took longer than {self._seconds:g} seconds.") from None
        except PydanticSerializationError:
            raise RunError(f"`{name}` gives what no JSON can hold.") from None
        except RunError:
            raise
        except ValueError as error:  # the function's way to reject its arguments
            raise RunError(f"`{name}` refuses: {str(error)[:_SHOWN]}") from None
        except (Exception, SystemExit):  # noqa: BLE001 - whatever the operator's code raises; the server goes on
            _log.exception("the function %s failed", name)
            raise RunError(f"`{name}` failed.", hint="The log says why.") from None

    async def _run_in_thread(self, name: str, function: Callable[[], Any]) -> Any:
        async with self._turns:
            if len(self._left) >= _MOST_LEFT:
                raise RunError("Too many Python functions have not returned.", hint="The log names them.")
            running = self._threads.submit(function)
            try:
                return await asyncio.wrap_future(running)
            finally:
                if not running.done():  # the caller has stopped waiting
                    self._left.add(running)
                    running.add_done_callback(self._left.discard)
                    says = "the function %s has not returned and keeps a thread, one of %s"
                    _log.warning(says, name, len(self._left))


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        says = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"functions.modules: `{name}` cannot be imported: {says}") from error
