"""Asking a model for JSON of a schema: what Structured Output and Smart Router live on."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowground.components.base import Context
from flowground.components.json_schema import find_misfit
from flowground.components.language_model import ask_whole
from flowground.errors import ProviderError, ProviderRefused
from flowground.messages import Message, Usage, sum_usage
from flowground.providers.base import ModelCall

_REFUSED = (400, 404, 415, 422, 501)
"""Statuses by which a server may say that it knows no schema."""
_SHOWN = 300
_IN_WORDS = """\
Answer with one JSON object and nothing else. It fits this JSON Schema:

{schema}"""
_AGAIN = """\
This is not what was wanted: {mistake}

Answer with the corrected JSON object and nothing else."""


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """What a model gave where JSON was wanted. `misfit` says what does not fit the schema; None where all does.

    `usage` counts both rounds.
    """

    value: Any
    misfit: str | None
    model: str
    usage: Usage | None

    def require(self) -> Any:
        """The value. Raises ProviderError where it does not fit: the model's failure, and not the flow's."""
        if self.misfit:
            raise ProviderError(f"The model gave no JSON that fits, asked twice: {self.misfit}")
        return self.value


async def ask_for_json(
    context: Context,
    model: str | None,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any],
    **options: float,
) -> JsonAnswer:
    """A JSON object, after one repair round at most. A server that refuses the schema is asked in words."""
    provider, name = context.models.resolve(model)
    call = ModelCall(name, messages, options, schema, retries=context.retries)
    if not provider.takes(name).response_schema:
        call = _ask_in_words(call)
    try:
        end = await ask_whole(context, provider, call)
    except ProviderRefused as error:
        if error.status not in _REFUSED or call.response_schema is None:
            raise
        call = _ask_in_words(call)
        end = await ask_whole(context, provider, call)
    value, misfit = await asyncio.to_thread(read_json, end.text, schema)
    if misfit is None:
        return JsonAnswer(value, None, end.model, end.usage)
    said = (Message("assistant", end.text), Message("user", _AGAIN.format(mistake=misfit)))
    again = await ask_whole(context, provider, replace(call, messages=(*call.messages, *said)))
    value, misfit = await asyncio.to_thread(read_json, again.text, schema)
    if misfit and again.finish_reason == "length":
        misfit += " It was cut by `max_tokens`."
    return JsonAnswer(value, misfit, again.model, sum_usage((end.usage, again.usage)))


def _ask_in_words(call: ModelCall) -> ModelCall:
    """The same call with the schema in the system's message."""
    words = _IN_WORDS.format(schema=json.dumps(call.response_schema, ensure_ascii=False))
    messages = call.messages
    if messages and messages[0].role == "system":
        messages = (Message("system", f"{messages[0].text}\n\n{words}"), *messages[1:])
    else:
        messages = (Message("system", words), *messages)
    return replace(call, messages=messages, response_schema=None)


def read_json(text: str, schema: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The value in a model's text, and what is wrong with it as a sentence; None where it fits."""
    begins, ends = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[begins : ends + 1] if 0 <= begins < ends else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None, "it is no JSON."
    return value, find_misfit(value, schema)


def _refuse(word: str) -> None:
    raise ValueError(word)
