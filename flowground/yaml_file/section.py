"""Bases of the models that say what a YAML file may hold."""

import re
from typing import Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

_HTTP = re.compile(r"^https?://[^/?#\s]+(/[^?#\s]*)?$")
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


class Section(BaseModel):
    """A mapping of known names. A name with nothing behind it (`chat:` above comments only) means the default."""

    # `defer_build`: built once it is first read, not at each start.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
    forgives_empty: ClassVar[bool] = False
    """Whether an unknown name with nothing behind it is no mistake."""

    @model_validator(mode="before")
    @classmethod
    def _take_nothing_as_the_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return {} if given is None else given
        known = given if cls.forgives_empty else cls.model_fields
        return {key: value for key, value in given.items() if value is not None or key not in known}


class ConfigSection(Section):
    """A mapping of settings: numbers and booleans read `yes`, `no`, `on` and `off` as YAML 1.1 does, off being 0."""

    model_config = ConfigDict(allow_inf_nan=True)
    forgives_empty: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _read_switches(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        numbers = {name for name, field in cls.model_fields.items() if field.annotation in (bool, int, float)}
        switches = {key: value.lower() for key, value in given.items() if key in numbers and isinstance(value, str)}
        return given | {key: _SWITCHES[word] for key, word in switches.items() if word in _SWITCHES}


def check_http_address(example: str) -> AfterValidator:
    """For `Annotated[str, …]`: an address of http or https without a query; it loses its slash at the end."""

    def check(value: str) -> str:
        if not _HTTP.match(value):
            raise ValueError(f"must look like {example}")
        return value.rstrip("/")

    return AfterValidator(check)


def check_pattern(pattern: str, says: str) -> AfterValidator:
    """For `Annotated[str, …]`: a text that matches, else `says` is what is wrong with it."""

    def check(value: str) -> str:
        if not re.search(pattern, value):
            raise ValueError(says)
        return value

    return AfterValidator(check)
