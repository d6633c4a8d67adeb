"""File: the text of files."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.errors import RunError
from flowground.extraction import Extracted
from flowground.path_patterns import explain_pattern
from flowground.values import FileReference, Record, ValueKind


class File(Component):
    """Reads the text of PDF, DOCX, HTML, CSV, JSON, Markdown and plain text files.

    It reads the files that a program names in a tweak, `{"File": {"path": …}}`, by what an upload answered; else those
    that `files` refers to, such as `${ChatInput.files}`; else those of `path`. Where none came with the message and it
    names none itself, the text is empty. `${id}` is their text,
    `${id.dataframe}` records with `text` and `source`, of a PDF one a page with its `page`.
    """

    type_name: ClassVar[str] = "File"
    title: ClassVar[str] = "File"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text", "dataframe": "records"}
    calls_out: ClassVar[bool] = True
    file_field: ClassVar[str | None] = "path"

    path: str | list[str] = declare(
        "",
        "Path",
        "Files below the flows folder, such as `samples/invoice.pdf`: one, or a list of them. What a tweak names here "
        "are files that were uploaded.",
        kind="data",
        fixed=True,
        max_length=100,
    )
    files: list[Any] | None = declare(None, "Files", "Files that came with a message.", kind="files")
    separator: str = declare("\n\n", "Separator", "What stands between the texts of several files.", max_length=1_000)

    def list_paths(self) -> list[str]:
        """The author's files."""
        return [path for path in ([self.path] if isinstance(self.path, str) else self.path) if path]

    def list_mistakes(self) -> Iterator[Mistake]:
        """Paths that lead out of the flows folder."""
        for path in self.list_paths():
            if wrong := explain_pattern(path):
                yield Mistake("path", f"`{path}` in `path`: a path {wrong}.")

    async def run(self, context: Context) -> Output:
        given: list[FileReference | str] = [*(context.files or self.files or self.list_paths())]
        if not given and self.files is None:
            raise RunError("There is no file to read.", hint="Send one, or name one in `path` of the File.")
        read = [(file, await context.outside.read_file(file)) for file in given]
        records = [record for file, found in read for record in _list_records(file, found)]
        return Output({"message": self.separator.join(_write(found) for _, found in read), "dataframe": records})


def _write(found: Extracted) -> str:
    return f"{found.text}\n[Cut: the file has more text.]" if found.is_cut else found.text


def _list_records(file: FileReference | str, found: Extracted) -> Iterator[Record]:
    source = file.name if isinstance(file, FileReference) else file
    if not found.pages:
        yield {"text": _write(found), "source": source}
        return
    for page, (start, end) in enumerate(zip(found.pages, (*found.pages[1:], None), strict=True), 1):
        yield {"text": found.text[start:end].strip(), "source": source, "page": page}
