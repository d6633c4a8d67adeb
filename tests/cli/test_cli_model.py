"""`model download`, where nothing has to be fetched."""

import json

from flowground.providers.builtin import weights
from tests.command_line import Here
from tests.servers import write_folder


def test_a_model_that_is_here_is_not_fetched(here: Here) -> None:
    file = here.folder / "data" / "models" / weights.QWEN.file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"as if")
    stat = file.stat()
    marker = {"sha256": weights.QWEN.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    file.with_name(f"{file.name}.verified").write_text(json.dumps(marker), "utf-8")
    said = here("model", "download")
    assert (said.code, said.last_line) == (0, str(file))
    assert "Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0" in said.err


def test_a_model_file_of_ones_own_needs_no_download(here: Here) -> None:
    write_folder(here.folder, config={"providers": {"local": {"path": "my.gguf"}}}, flows={})
    said = here("model", "download")
    assert (said.code, said.out) == (0, f"{here.folder / 'my.gguf'}\n")
