"""`functions:` of config.yaml: which Python functions of the operator's flows may call."""

from typing import Annotated

from pydantic import Field

from flowground.yaml_file.section import ConfigSection, check_pattern

_Module = Annotated[
    str, check_pattern(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", "must be names of modules, like ours.orders")
]


class FunctionSettings(ConfigSection):
    """Functions of the operator's own."""

    modules: tuple[_Module, ...] = Field(
        (),
        description="Modules, installed or beside this file, whose public functions the Python Functions of flows may "
        "call, as `module.function`. They are imported at the start and run in this process, with all its rights.",
    )
    seconds: float = Field(30, gt=0, le=600, description="Longest call of a function.")
