"""What a database takes as text: PostgreSQL refuses NUL, both refuse half a surrogate pair; JSON has both."""


def storable(text: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    return mend(text.replace("\x00", "\ufffd") if "\x00" in text else text)


def mend(text: str) -> str:
    """The text with the halves of surrogate pairs joined, as a model's server may cut them; one alone is U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
