"""What knowledge needs of the place where its index lives."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index import BuildPlace, IndexReader
from flowground.knowledge.sources import PageStates, SourceFile

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

KEPT_SECONDS = 3_600.0
"""How long an index stays that no process wants any more: another may have flows that this one has not yet, and a file
may be renamed for a while."""


class IndexHome(Protocol):
    """Where the index of one knowledge lives. All of it blocks, but for `embed`; it raises RunError, or OSError."""

    def open(self) -> IndexReader | None:
        """The index that serves now, where there is one."""

    def open_vectors(self, model: str) -> "VectorReader | None":
        """The vectors of this model for the index that serves, where it has any."""

    def sign(self, files: Mapping[str, SourceFile]) -> Mapping[str, SourceFile]:
        """The files, signed so that all who share the index agree on which were written again."""

    def take(self) -> Callable[[], None]:
        """Lets nobody else make an index until what it gives is called, or this process ends.

        Raises BlockingIOError while somebody else does.
        """

    def plan(self, *, is_copy: bool) -> BuildPlace:
        """Where the next index is made, as a copy of the one that serves or from nothing."""

    async def embed(self, place: BuildPlace, embeddings: Embeddings) -> None:
        """Makes the vectors of the next index; what the one before has is kept. Raises ProviderError: it has none."""

    def publish(self, place: BuildPlace) -> None:
        """From here on the next index serves; what served before is removed, and whoever reads it still can."""

    def remove(self, place: BuildPlace) -> None:
        """What was made of an index that shall not serve."""

    def read_pages(self) -> PageStates:
        """How the pages of the web answered that it names."""

    def write_pages(self, states: PageStates) -> None:
        """By whoever may make an index, instead of what was written before."""

    def close(self) -> None:
        """Gives back what it holds."""
