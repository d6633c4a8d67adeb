"""The one test that chats with the real built-in model. It is fetched once: 0.5 GB, ten seconds to a few minutes.

FLOWGROUND_TEST_MODELS names a folder that keeps it between runs; else the repository's data/models is used, which the
app uses too and git ignores.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.model, pytest.mark.timeout(1900)]

ROOT = Path(__file__).parent.parent
# Taken while tests are collected: the environment in which tests run is stripped of what pip may need (an index, a
# proxy), and tests may not connect to other computers. So a process of its own fetches and chats.
ENVIRONMENT = dict(os.environ)
FOLDER = Path(ENVIRONMENT.get("FLOWGROUND_TEST_MODELS") or ROOT / "data" / "models")

CHAT = """
import asyncio, sys
from contextlib import aclosing
from pathlib import Path
from flowground.core.errors import ProviderUnreachable
from flowground.core.messages import Message, ToolResult
from flowground.providers.base import ModelCall, ToolSpec
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.weights import fetch

async def main(folder: Path) -> int:
    try:
        await fetch(folder, progress=lambda received, total: None)
    except ProviderUnreachable as error:
        sys.stdout.write(error.message)
        return 77
    local = Local("local", LocalSettings(), folder)
    call = ModelCall("local", (Message("user", "What is the capital of Australia?"),), {"temperature": 0, "seed": 1})
    try:
        async with aclosing(local.stream(call)) as pieces:
            *said, completion = [piece async for piece in pieces if piece]
        await call_a_tool(local)
    finally:
        await local.close()
    texts = [piece for piece in said if isinstance(piece, str)]
    assert completion.model == "Qwen2.5-Coder 0.5B" and completion.usage.output_tokens > 3, completion
    assert len(texts) > 3 and "".join(texts) == completion.text
    assert "Canberra" in completion.text, completion.text
    return 0

async def call_a_tool(local: Local) -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = (ToolSpec("get_weather", "The weather of a city now.", city),)
    said = (Message("user", "What is the weather in Oslo?"),)
    end = await local.complete(ModelCall("local", said, {"temperature": 0}, tools=tools))
    (called,) = end.tool_calls
    assert (called.name, called.arguments) == ("get_weather", {"city": "Oslo"}), end
    said += (end.message, Message("tool", (ToolResult(called.id, called.name, "7 degrees, rain"),)))
    end = await local.complete(ModelCall("local", said, {"temperature": 0}, tools=tools))
    assert "7 degrees" in end.text and not end.tool_calls, end

sys.exit(asyncio.run(main(Path(sys.argv[1]))))
"""


def test_the_real_model_answers() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs xllamacpp, which has no package for this platform")
    command = [sys.executable, "-c", CHAT, str(FOLDER)]
    chat = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=1800, check=False)
    if chat.returncode == 77:
        pytest.skip(chat.stdout)
    assert chat.returncode == 0, chat.stdout + chat.stderr
