"""A folder of flows for the tests of the loader."""

from pathlib import Path

from flowground.flows.folder import Catalogue


def text(name: str = "Talk", said: str = "hello", extra: str = "") -> str:
    return f"name: {name}\n{extra}components:\n  Out: {{type: ChatOutput, input_value: {said}}}\n"


def read_said(catalogue: Catalogue, address: str) -> str | None:
    """What the flow of this address says now, None where there is none."""
    wired = catalogue.find(address)
    return None if wired is None else str(wired.components["Out"].model_dump()["input_value"])


class Folder:
    """A folder of flows whose catalogue looks again at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._catalogue: Catalogue | None = None

    def write(self, name: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (self.path / name).write_bytes(data)

    @property
    def catalogue(self) -> Catalogue:
        if self._catalogue is None:
            self._catalogue = Catalogue(self.path)
        self._catalogue._looked = 0.0
        self._catalogue.list_flows()
        return self._catalogue

    def said(self, address: str) -> str | None:
        return read_said(self.catalogue, address)

    def mistakes(self) -> dict[str, str]:
        return {name: str(error) for name, error in self.catalogue.list_problems().items()}
