"""Files that the tests of a flow file send."""

from tests.command_line import Here

SENT = """\
components:
  ChatInput: {type: ChatInput}
  ChatOutput: {type: ChatOutput, input_value: "${ChatInput}: ${ChatInput.files}"}
chat: {accepts: [text/*]}
tests:
  - {message: Read, files: [samples/a.txt], expect: {equals: "Read: a.txt"}}
  - {message: Read, files: [samples/gone.txt]}
  - {message: Read, files: [../config.yaml]}
  - {message: Read, files: [samples/b.png]}
"""


KEPT = """\
components:
  ChatInput: {type: ChatInput}
  Before: {type: Recall, n_messages: 5}
  Model: {type: LanguageModel, input_value: "${ChatInput}", files: "${ChatInput.files}", n_messages: 10}
  ChatOutput: {type: ChatOutput, input_value: "${Model}|${Before.files}"}
chat: {accepts: [text/*]}
tests:
  - model: scripted:json
    turns:
      - {message: Read, files: [samples/a.txt], expect: {contains: Hello there}}
      - {message: And this, files: [samples/a.txt, samples/b.txt], expect: {contains: [Hello there, Good day, "|a"]}}
      - {message: What stood in it?, expect: {contains: [Hello there, Good day, "|a.txt, a.txt, b.txt"]}}
"""


def test_files_are_sent_from_the_folder_of_flows_alone_and_are_there_in_the_next_turn(here: Here) -> None:
    flows = here.folder / "flows"
    (flows / "samples").mkdir()
    for name, data in (("a.txt", b"Hello there"), ("b.txt", b"Good day"), ("b.png", b"\x89PNG\r\n\x1a\n")):
        (flows / "samples" / name).write_bytes(data)
    (flows / "sent.yaml").write_text(SENT, "utf-8")
    (flows / "kept.yaml").write_text(KEPT, "utf-8")
    said = here("test", "sent")
    assert said.code == 1
    assert "ok   flows/sent.yaml:6" in said.out
    for name in ("samples/gone.txt", "../config.yaml"):
        assert f"There is no file `{name}` in the folder of flows." in said.out
    assert "b.png cannot be added: this flow takes text files, and it is image/png." in said.out
    said = here("test", "kept")
    assert (said.code, said.out.startswith("ok   flows/kept.yaml:8 Read")) == (0, True), said.out
