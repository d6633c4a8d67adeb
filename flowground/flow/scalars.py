"""Plain words of YAML 1.2, for flow files and config.yaml alike: only true and false are booleans.

PyYAML follows YAML 1.1, where `yes`, `no`, `on` and `off` are booleans too and `2024-01-01` is a date.
"""

WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


def read_switch(given: object, kind: object) -> object:
    """`yes`, `no`, `on` and `off` as YAML 1.1 reads them, for settings that are a `bool`, `int` or `float`: off is 0.

    Everything else as it was given.
    """
    if kind in (bool, int, float) and isinstance(given, str):
        return _SWITCHES.get(given.lower(), given)
    return given
