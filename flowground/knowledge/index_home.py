"""The contract of the place where the index of one knowledge lives."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import BuildPlace, IndexReader
from flowground.knowledge.sources import PageStates, SourceFile

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

KEPT_SECONDS = 3_600.0
"""Seconds that an index stays after no process wants it: another process may have flows that this one has not loaded
yet, and a file may be renamed for a while."""


class IndexHome(Protocol):
    """The place of one knowledge's index. All methods block, except `embed`; they raise RunError or OSError."""

    def open(self) -> IndexReader | None:
        """The serving index; None where there is none."""

    def open_vectors(self, model: str) -> "VectorReader | None":
        """The vectors of this model for the serving index; None where it has none."""

    def sign(self, files: Mapping[str, SourceFile]) -> Mapping[str, SourceFile]:
        """The files with signatures on which all computers that share the index agree."""

    def take(self) -> Callable[[], None]:
        """Locks out other builds until the returned function is called, or this process ends.

        Raises BlockingIOError while another build runs.
        """

    def plan(self, *, is_copy: bool) -> BuildPlace:
        """The place of the next index, which begins as a copy of the serving one or empty."""

    async def embed(self, place: BuildPlace, embeddings: Embeddings) -> None:
        """Makes the vectors of the next index, and keeps those that the old index has. Raises ProviderError; the index
        has none then."""

    def publish(self, place: BuildPlace) -> None:
        """Lets the next index serve, and removes the old one; its present readers can go on."""

    def remove(self, place: BuildPlace) -> None:
        """Removes an index that was not finished."""

    def read_pages(self) -> PageStates:
        """The last states of the web pages that the knowledge names."""

    def write_pages(self, states: PageStates) -> None:
        """Replaces the states of pages; only for the holder of the lock."""

    def close(self) -> None:
        """Frees resources."""
