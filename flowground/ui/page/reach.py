"""With whom a flow is shared, in the same words wherever that is said."""

from datetime import datetime

from flowground.store.flows.publications import Audience, Sharing
from flowground.ui.page import browser, words


def spell_reach(audience: Audience, *, people: int = 0, groups: int = 0, ends: datetime | None = None) -> str:
    """ "shared with 2 people and 1 group until 26 Nov 2026", by the visitor's clock."""
    if audience == "people":
        named = [
            words.count(people, "person", "people") if people else "",
            words.count(groups, "group") if groups else "",
        ]
        who = " and ".join(filter(None, named)) or "nobody yet"
    else:
        who = "your organization" if audience == "organization" else "anybody who has the link"
    return f"shared with {who}" + (f" until {browser.spell_day(browser.find_last_day(ends))}" if ends else "")


def spell_sharing(sharing: Sharing) -> str:
    """As `spell_reach`, of all that an owner decides but the switch."""
    people, groups = len(sharing.members), len(sharing.groups)
    said = spell_reach(sharing.audience, people=people, groups=groups, ends=sharing.expires_at)
    return said + (", API too" if sharing.shares_api else "")


def begin_sentence(said: str) -> str:
    """With a capital letter."""
    return said[:1].upper() + said[1:]
