"""A flow file's bytes -> Flow, or every mistake in them with its place."""

import hashlib
import re

from flowground.errors import FlowError, Problem
from flowground.flow.addresses import check_address, flow_id_of
from flowground.flow.document import Document, Place, Position
from flowground.flow.format import Flow
from flowground.flow.header import read_header
from flowground.flow.reader import read_document
from flowground.flow.specs import read_components

ENV = re.compile(r"(?<!\$)\$\{env:([^{}\n]*)\}")
"""A secret's place: the name of an environment variable."""


def parse_flow(text: str | bytes, file: str, *, max_bytes: int) -> Flow:
    """The flow in a file's text; `file` is the file's name. Raises FlowError with every mistake, and nothing else."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = read_document(_decode(data, file, max_bytes), file)
    if document.root is None or document.root.value is None:
        document.problem(Position(1, 1), "The file is empty: a flow has `components:`.")
        raise document.error()
    if not isinstance(document.root.value, dict):
        document.problem(
            document.root.position, "A flow is a mapping: `name: …`, `components: …`.", value=document.root.plain()
        )
        raise document.error()
    _refuse_secrets(document)
    header = read_header(document)
    components = read_components(document)
    flow_id = flow_id_of(document, header, file)
    if header and header.api.endpoint_name is not None:
        check_address(document, ("api", "endpoint_name"), header.api.endpoint_name, "endpoint name")
    if document.problems or header is None:
        raise document.error()
    return Flow(
        id=flow_id,
        name=header.name or re.sub(r"[-_.]+", " ", flow_id).title(),
        description=header.description,
        owners=header.owners,
        components=components,
        chat=header.chat,
        api=header.api,
        version=hashlib.sha256(data).hexdigest()[:12],
        file=file,
        places=_places(document, len(header.api.overridable or ())),
    )


def _refuse_secrets(document: Document) -> None:
    """`${env:…}` outside the components; inside, `wiring` knows which fields are secret."""
    assert document.root is not None  # noqa: S101 - the caller looked
    for key, node in document.root.value.items():
        for text in node.texts() if key != "components" else ():
            if found := ENV.search(text.value):
                position = Place(text.position, text.position, text.text, text.block).at(text.value, found.start())
                message = "`${env:…}` is read in secret fields of components only, and this is none."
                document.problem(position, message, value=found[0])


def _places(document: Document, overridable: int) -> dict[str, Place]:
    places = {
        f"api.overridable.{index}": document.place(("api", "overridable", index, "field"))
        for index in range(overridable)
    }
    return places | {"id": document.place(("id",)), "api.endpoint_name": document.place(("api", "endpoint_name"))}


def _decode(data: bytes, file: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise FlowError([too_large(file, len(data), max_bytes)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"The byte 0x{data[error.start]:02X} is no UTF-8: save the file in that encoding."
        raise FlowError([Problem(file, line, column, message)]) from None


def too_large(file: str, size: int, max_bytes: int) -> Problem:
    """The mistake of a file over the limit."""
    message = f"The file has {size:,} bytes; {max_bytes:,} is the limit (`limits.flow_bytes` in config.yaml)."
    return Problem(file, 1, 1, message)
