"""A Chat Output that joins branches: what of its text may be said before all of them have their end."""


class Join:
    """The texts of its members, in order. What a later member says is held until those before it have their end."""

    def __init__(self, members: list[str]) -> None:
        self._members = members
        self._at = 0
        """Whose turn it is to speak."""
        self._said: set[str] = set()
        self._held: dict[str, list[str]] = {}
        self._ends: dict[str, str] = {}
        self._owed = ""
        """Whole texts of members that did not speak piece by piece: said before what comes next."""

    def is_turn_of(self, member: str) -> bool:
        """Whether what this member says is said at once."""
        return self._members[self._at : self._at + 1] == [member]

    def say(self, member: str, piece: str) -> str:
        """What may be said now that this member said a piece; "" for nothing yet."""
        if not self.is_turn_of(member):
            self._held.setdefault(member, []).append(piece)
            return ""
        self._said.add(member)
        said, self._owed = self._owed + piece, ""
        return said

    def end(self, member: str, text: str) -> str:
        """What may be said now that this member has its end, with its text; "" where it was skipped."""
        self._ends[member] = text
        said = ""
        while self._at < len(self._members) and (now := self._members[self._at]) in self._ends:
            if now not in self._said:
                self._owed += self._ends[now]
            self._at += 1
            if self._at < len(self._members) and (held := self._held.pop(self._members[self._at], None)):
                said += self.say(self._members[self._at], "".join(held))
        return said
