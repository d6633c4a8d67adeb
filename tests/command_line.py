"""A folder with config.yaml and three flows, and commands that run in it."""

from pathlib import Path

import pytest

from flowground.cli import main

ECHO = """\
name: Echo
components:
  In: {type: ChatInput, input_value: nothing said}
  Out: {type: ChatOutput, input_value: "${In}"}
"""
SHOUT = """\
name: Shout
components:
  Topic: {type: TextInput}
  Prompt: {type: Prompt, template: "{mood} {topic}", mood: calm, topic: "${Topic}"}
  Out: {type: TextOutput, input_value: "${Prompt}"}
api: {endpoint_name: loud}
"""
ASK = """\
name: Ask
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: scripted, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""


class Said:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


class Here:
    """A folder with config.yaml and three flows, and commands that run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        code = main(arguments)
        return Said(code, *self._capsys.readouterr())
