"""What a database takes as text: PostgreSQL refuses NUL, both refuse half a surrogate pair; JSON has both."""


def storable(text: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text
