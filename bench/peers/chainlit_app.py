"""The least chat by Chainlit: answers stream from an OpenAI server, and so many messages are there from the start."""

import os
from typing import Any

import chainlit
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=os.environ["STUB"], api_key="anything")


@chainlit.on_chat_start
async def begin() -> None:
    for turn in range(int(os.environ["MESSAGES"]) // 2):
        await chainlit.Message(os.environ["QUESTION"].format(turn=turn), type="user_message").send()
        await chainlit.Message(os.environ["ANSWER"].format(turn=turn)).send()


@chainlit.on_message
async def answer(message: chainlit.Message) -> None:
    messages: Any = [{"role": "user", "content": message.content}]
    said = chainlit.Message("")
    async for piece in await client.chat.completions.create(model="stub-model", messages=messages, stream=True):
        if piece.choices and (new := piece.choices[0].delta.content):
            await said.stream_token(new)
    await said.update()
