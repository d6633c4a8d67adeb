"""Vectors of an index's passages: arrays in files that are mapped into memory, and the search for the nearest ones.

A first pass compares one bit for each dimension, a second pass compares the best of them exactly. Only knowledge with
`embeddings:` imports this module: numpy takes a tenth of a second.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FIRST = 400
"""The passages that remain after the first pass, or one in `_SHARE` where that is more."""
_SHARE = 50
_FEW = 10
_BLOCK = 4_096
"""Vectors that are processed at once."""


class VectorReader:
    """The vectors of one index, safe for threads. Raises ValueError where there are none of this model."""

    def __init__(self, folder: Path, model: str) -> None:
        try:
            about = json.loads((folder / "about.json").read_text("utf-8"))
            self.ids: NDArray[np.int64] = np.load(folder / "ids.npy")
            self._mean: Floats = np.load(folder / "mean.npy")
            self._bits: NDArray[np.uint64] = np.load(folder / "bits.npy", mmap_mode="r")
            self.vectors: Floats = np.load(folder / "vectors.npy", mmap_mode="r")
        except OSError as error:
            raise ValueError(str(error)) from None
        if about["model"] != model:
            raise ValueError("of another model")

    def search(self, question: Sequence[float], *, most: int, ids: Sequence[int] | None) -> list[int]:
        """Ids of the nearest passages, the nearest first; only of passages with these ids, unless None.

        Raises ValueError for a question of another length.
        """
        asked = normalize(np.asarray([question], np.float32))
        if asked.shape[1] != self.vectors.shape[1]:
            raise ValueError("of other dimensions")
        rows = np.arange(len(self.ids)) if ids is None else np.flatnonzero(np.isin(self.ids, np.asarray(ids, np.int64)))
        left = max(_FIRST, len(self.ids) // _SHARE, most)
        if len(rows) > left:
            bits = self._bits if ids is None else self._bits[rows]
            apart = np.bitwise_count(bits ^ _pack(asked - self._mean)).sum(axis=1, dtype=np.int32)
            rows = np.sort(rows[np.argpartition(apart, left)[:left]])
        near = np.einsum("ij,j->i", self.vectors[rows], asked[0])  # `@` would use threads, and wait for all cores
        return [int(self.ids[rows[at]]) for at in np.argsort(-near)[:most]]

    def compare(self, question: Sequence[float], ids: Sequence[int]) -> dict[int, float]:
        """How near passages are to the question: 0 is the mean of the index's passages or less, 1 the same direction.

        In an index of few passages their mean says little, and so counts less.
        """
        asked = normalize(np.asarray([question], np.float32))[0]
        usual = float(self._mean @ asked) * len(self.ids) / (len(self.ids) + _FEW)
        rows = self.find_known(ids)
        near = np.einsum("ij,j->i", self.vectors[list(rows.values())], asked)
        return {number: max(0.0, (float(one) - usual) / (1 - usual)) for number, one in zip(rows, near, strict=True)}

    def find_known(self, ids: Sequence[int]) -> dict[int, int]:
        """The rows of those passages that have vectors, by id."""
        wanted = np.asarray(ids, np.int64)
        at = np.searchsorted(self.ids, wanted)
        return {
            int(number): int(row)
            for number, row in zip(wanted, at, strict=True)
            if row < len(self.ids) and self.ids[row] == number
        }


class VectorWriter:
    """Writes the arrays of a new index; `finish` completes them."""

    def __init__(self, folder: Path, ids: Sequence[int], dimensions: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ids = np.asarray(ids, np.int64)
        self._vectors: Floats = np.lib.format.open_memmap(
            folder / "vectors.npy", "w+", np.float32, (len(ids), dimensions)
        )

    def put(self, row: int, vectors: Iterable[Sequence[float]] | Floats) -> None:
        """Stores vectors of consecutive passages, beginning at a row. Raises ValueError where they have another
        length."""
        normalized = normalize(np.asarray(vectors, np.float32))
        self._vectors[row : row + len(normalized)] = normalized

    def finish(self, model: str) -> None:
        """Completes the arrays; all vectors were made by `model`, `provider:model`."""
        total = np.zeros(self._vectors.shape[1], np.float64)
        for block in self._list_blocks():
            total += block.sum(axis=0, dtype=np.float64)
        mean = (total / max(1, len(self._ids))).astype(np.float32)
        bits = [_pack(block - mean) for block in self._list_blocks()]
        np.save(self._folder / "bits.npy", np.concatenate(bits) if bits else np.zeros((0, 1), np.uint64))
        np.save(self._folder / "mean.npy", mean)
        np.save(self._folder / "ids.npy", self._ids)
        self._vectors.flush()  # type: ignore[attr-defined]  # a mapped array
        (self._folder / "about.json").write_text(json.dumps({"model": model}), "utf-8")

    def _list_blocks(self) -> Iterator[Floats]:
        for at in range(0, len(self._ids), _BLOCK):
            yield self._vectors[at : at + _BLOCK]


def normalize(vectors: Floats) -> Floats:
    """The vectors scaled to length one. Raises ValueError for anything but a list of vectors of finite numbers."""
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError("no vectors of finite numbers")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def _pack(vectors: Floats) -> NDArray[np.uint64]:
    """One bit for each dimension, 64 in a number."""
    packed = np.packbits(vectors > 0, axis=1)
    missing = -packed.shape[1] % 8
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing)))).view(np.uint64)
