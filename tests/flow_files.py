"""The largest flow files there may be, each with what takes longest to read."""

MOST = 1_048_576
_NEXT = '  A#: {type: TextOutput, input_value: "${A##}"}\n'
_OUT = '  Out: {type: TextOutput, input_value: "x"}\n'
_TWO = f"components:\n  ChatInput: {{type: ChatInput}}\n{_OUT}"
_MODEL = f"{_TWO}  A:\n    type: LanguageModel\n    model: scripted:busy\n"
_FILLED = f"{_TWO}  A:\n    type: Prompt\n    x: a\n    template: '"
_PROMPT = f"{_TWO}  A:\n    type: Prompt\n    template: a\n"


def filled(head: str, piece: str, tail: str = "", *, most: int = MOST) -> str:
    """`head`, as many of `piece` as fit, `tail`."""
    return head + piece * ((most - len((head + tail).encode())) // len(piece.encode())) + tail


def many(head: str, piece: str, count: int, tail: str = "") -> str:
    """`head`, `piece` with a number for each `#`, `tail`."""
    return (
        head + "".join(piece.replace("##", str(number + 1)).replace("#", str(number)) for number in range(count)) + tail
    )


def references(lines: int) -> str:
    """A text of so many lines with a reference in each."""
    return (
        f"{_MODEL}    input_value: |\n"
        + "      a line with ${ChatInput} and some more words in it to fill it\n" * lines
    )


LARGEST: dict[str, str] = {
    "a long text": filled(f"{_MODEL}    input_value: |\n", "      some words, not many\n"),
    "references in lines": references(14_000),
    "references in one line": filled(f"{_MODEL}    input_value: ", "${ChatInput}"),
    "wrong references": filled(f"{_MODEL}    input_value: |\n", "      ${ChatInptu}\n"),
    "escapes": filled(f'{_MODEL}    input_value: "', "\\u00e9\\n", '"\n'),
    "a folded text": filled(f"{_MODEL}    input_value: >\n", "      some words, not many\n"),
    "comments": filled(_TWO, "# c\n"),
    "blank lines": filled(f"{_PROMPT}", "\n"),
    "blocks before blank lines": filled(many(_PROMPT, "    v#: |\n", 5_000), "\n"),
    "the largest template": _FILLED + "{x}" * 1_000 + "{" * 250_000 + "'\n",
    "a template over its limit": filled(_FILLED, "{x}", "'\n"),
    "variables": filled(_PROMPT.removesuffix("a\n") + "'", "{x}", "'\n", most=250_000),
    "fields that are none": many(f"{_MODEL}    input_value: x\n", "    v#: x\n", 9_000),
    "variables that are none": many(_PROMPT, "    v#: x\n", 9_000),
    "names given twice": _PROMPT + "    v: x\n" * 9_000,
    "most components": many("components:\n", _NEXT, 499, "  A499: {type: TextInput}\n"),
    "a circle": many("components:\n", _NEXT, 499, _NEXT.replace("A##", "A0").replace("#", "499")),
    "components without a type": many("components:\n", "  A#: {typ: TextInput}\n", 499),
    "too many components": many("components:\n", "  A#: {type: TextInput}\n", 4_900),
    "starters": f"{_TWO}chat:\n  starters:\n" + "  - x\n" * 19_000,
    "owners": f"{_TWO}owners: [{','.join(['a'] * 19_000)}]\n",
    "overridable": many(_PROMPT, "    v#: x\n", 10, many("api:\n  overridable:\n", "  - A.v#\n", 9_000)),
    "tests": many(f"{_MODEL}    input_value: x\ntests:\n", "  - {replies: {A: [x]}, expect: {matches: '#+x'}}\n", 200),
    "tests of what is not there": _TWO + "tests:\n" + "  - {expect: {takes: [" + "Chat," * 50 + "]}}\n" * 190,
    "values": filled(f"{_TWO}x: [", "a,", "]\n"),
    "brackets": filled("a: ", "["),
    "dashes": filled("", "- "),
    "a long name": filled(_TWO, "k", ": 1\n"),
    "what cannot stand in a file": filled("a: ", "x", "\x01\n"),
}  # fmt: skip
