"""Messages and their parts are plain values, and one that is only text costs what a text costs."""

from flowground.messages import FilePart, Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.base import Completion


async def nothing() -> bytes:
    return b""


PHOTO = FilePart("f1", "photo.png", "image/png", 3, "ab" * 32, nothing)


def test_a_text_is_its_only_part_and_nothing_is_made_of_it() -> None:
    message = Message("user", "hi")
    assert (message.content, message.text, message.parts) == ("hi", "hi", (TextPart("hi"),))


def test_the_text_of_a_message_is_that_of_its_text_parts() -> None:
    message = Message("user", (TextPart("What is "), PHOTO, TextPart("this?")))
    assert message.text == "What is this?"
    assert message.parts == (TextPart("What is "), PHOTO, TextPart("this?"))
    assert Message("tool", (ToolResult("c1", "search", "42"),)).text == ""


def test_a_file_is_the_same_however_it_is_read_and_shows_no_way_to_its_bytes() -> None:
    async def elsewhere() -> bytes:
        return b"abc"

    same = FilePart("f1", "photo.png", "image/png", 3, "ab" * 32, elsewhere)
    assert (same == PHOTO, hash(same) == hash(PHOTO)) == (True, True)
    assert "read" not in repr(PHOTO)
    assert PHOTO.is_image
    assert not FilePart("f2", "a.pdf", "application/pdf", 3, "", nothing).is_image


def test_an_answer_is_what_the_model_is_shown_again() -> None:
    call, thought = ToolCall("c1", "search", {"query": "x"}), Reasoning("hm", "mine", "reasoning")
    assert Completion("hi", "m").message == Message("assistant", "hi")
    assert Completion("", "m", tool_calls=(call,)).message == Message("assistant", (call,))
    whole = Completion("Let me see.", "m", tool_calls=(call,), reasoning=thought).message
    assert whole == Message("assistant", (thought, TextPart("Let me see."), call))


def test_cached_tokens_are_some_of_the_input_and_add_up() -> None:
    both = Usage(10, 2, 8) + Usage(5, 1)
    assert both == Usage(15, 3, 8)
    assert both.total_tokens == 18
