"""Overrides in an address: they come back as they were, and nothing else comes back at all."""

import base64
import json
import random
import zlib
from typing import Any

import pytest

from flowground.errors import InvalidRequest
from flowground.overrides import LONGEST_LINK, read_link, write_link

VALUES: dict[str, dict[str, Any]] = {
    "Prompt": {"template": 'it\'s "so"\n</script> 👋🏽 שלום {x}', "tone": ""},
    "Rows": {"input_data": [{"text": "a", "more": [1, None, {"x": 0.5}]}, {}]},
    "Model-a1b2c": {"temperature": 0.4, "seed": 2**31 - 1, "stream": False, "max_tokens": None},
}


def packed(plain: bytes) -> str:
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.urlsafe_b64encode(packing.compress(plain) + packing.flush()).decode().rstrip("=")


def test_they_come_back_as_they_were() -> None:
    word = write_link(VALUES)
    assert word.isascii()
    assert not set(word) & set("+/=&?#% ")
    assert read_link(word) == VALUES
    assert read_link(write_link({})) == {}


def test_a_long_prompt_still_fits() -> None:
    prompt = " ".join(f"Rule {number}: be brief, be kind, be exact." for number in range(200))
    assert read_link(write_link({"Prompt": {"template": prompt}})) == {"Prompt": {"template": prompt}}


def test_what_would_break_an_address_is_refused() -> None:
    noise = base64.b64encode(random.Random(1).randbytes(LONGEST_LINK)).decode()
    with pytest.raises(InvalidRequest, match="too long for a link"):
        write_link({"Prompt": {"template": noise}})


GARBAGE = [
    "",
    "x",
    "!!!",
    "é" * 8,
    write_link(VALUES)[:-3],
    write_link(VALUES) + "AAAA",
    "A" * (LONGEST_LINK + 1),
    packed(b"not json"),
    packed(b"\xff"),
    packed(b"[1, 2]"),
    packed(b'{"Prompt": "x"}'),
    packed(b'{"Prompt": [1]}'),
    packed(b'{"Model": {"temperature": NaN}}'),
    packed(b'{"Model": {"seed": ' + b"9" * 10_000 + b"}}"),
    packed(b"[" * 100_000),
    packed(json.dumps({"Prompt": {"template": "a" * 1_000_000}}).encode()),
]


@pytest.mark.parametrize("word", GARBAGE, ids=range(len(GARBAGE)))
def test_anything_else_is_one_sentence(word: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_link(word)
    assert caught.value.message == "This link holds no overrides that can be read: it may have been cut off."


def test_any_noise_is_refused_or_harmless() -> None:
    chance = random.Random(7)
    word = write_link(VALUES)
    harmless = 0
    for _ in range(2_000):
        at = chance.randrange(len(word))
        changed = word[:at] + chance.choice("AZaz09-_") + word[at + 1 :]
        try:
            found = read_link(changed)
        except InvalidRequest:
            continue
        assert all(isinstance(fields, dict) for fields in found.values())
        harmless += 1
    assert 0 < harmless < 2_000
