"""The cards of home: one flow each, and all of it opens the flow.

A card is two elements: the link, which lies over all of the card (flowground/ui/page/looks.css), and what is read on
it. So it is one stop for the keyboard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

import streamlit as st

from flowground.access.gallery import CardFacts
from flowground.caller import Caller
from flowground.store.flows.publications import Publication
from flowground.ui.page import browser, model_notes, switched_off, words
from flowground.ui.page.reach import begin_sentence, spell_reach
from flowground.wiring import WiredFlow

_DESCRIPTION_CHARS = 180


@dataclass(frozen=True, slots=True)
class Card:
    """`shared` None: it is not, or whoever looks need not know. `last_used` is theirs."""

    wired: WiredFlow
    shared: Publication | None
    last_used: datetime | None
    facts: CardFacts


def draw_card(caller: Caller, card: Card) -> None:
    wired = card.wired
    with st.container(border=True, key=f"card:{wired.id}", gap=None, height="stretch"):
        st.page_link(
            browser.PLAYGROUND,
            label=words.escape(wired.name),
            icon="",
            query_params={"flow": wired.id},
            width="stretch",
        )
        st.html(_write_card(caller, card), width="stretch")


def _write_card(caller: Caller, card: Card) -> str:
    """The card's text as HTML, everything of others in it escaped; the picture is for the eye alone."""
    wired = card.wired
    chat = wired.flow.chat
    tint = f' style="--fg-accent: {chat.accent}"' if chat.accent else ""
    lines = [f'<div class="fg-picture" aria-hidden="true"{tint}>{escape(chat.icon or wired.name[:1].upper())}</div>']
    if description := words.cut(wired.flow.description, _DESCRIPTION_CHARS):
        lines.append(f'<div class="fg-description">{escape(description)}</div>')
    if off := switched_off.find_sentence(caller, wired):
        lines.append(f'<div class="fg-off">{escape(off)}</div>')
    lines.append(f'<div class="fg-facts">{_write_facts(caller, card)}</div>')
    return f'<div class="fg-card">{"".join(lines)}</div>'


def _write_facts(caller: Caller, card: Card) -> str:
    wired, inside = card.wired, caller.sees_inside
    models = ", ".join(map(model_notes.write_label, model_notes.list_models(wired))) or "No model"
    owners = ", ".join(filter(None, (card.facts.names.get(owner) for owner in wired.flow.owners or ())))
    facts = (
        _write_audience(card) if inside else "",
        f"By {owners}" if owners else "",
        models if inside else "",
        f"Used {browser.write_since(card.last_used)}" if card.last_used else "",
    )
    return " ".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)


def _write_audience(card: Card) -> str:
    if card.shared is None:
        return "Not shared"
    people, groups = card.facts.named.get(card.wired.id, (0, 0))
    shared = card.shared
    return begin_sentence(spell_reach(shared.audience, people=people, groups=groups, ends=shared.expires_at))


def choose_order(flows: list[WiredFlow], last_used: Mapping[str, datetime], *, by_name: bool) -> list[WiredFlow]:
    """The ones used last first, the others behind them by name; or all of them by name, as they come."""
    if by_name or not last_used:
        return flows
    return sorted(flows, key=lambda wired: -last_used[wired.id].timestamp() if wired.id in last_used else 0.0)
