"""The least chat by Gradio: answers stream from an OpenAI server, and so many messages are there from the start."""

import os
from collections.abc import AsyncIterator
from typing import Any

import gradio
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=os.environ["STUB"], api_key="anything")
history = [
    message
    for turn in range(int(os.environ["MESSAGES"]) // 2)
    for message in (
        {"role": "user", "content": os.environ["QUESTION"].format(turn=turn)},
        {"role": "assistant", "content": os.environ["ANSWER"].format(turn=turn)},
    )
]


async def answer(text: str, _: Any) -> AsyncIterator[str]:
    messages: Any = [{"role": "user", "content": text}]
    said = ""
    async for piece in await client.chat.completions.create(model="stub-model", messages=messages, stream=True):
        if piece.choices and (new := piece.choices[0].delta.content):
            said += new
            yield said


chat = gradio.ChatInterface(answer, chatbot=gradio.Chatbot(history))
chat.launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]))
