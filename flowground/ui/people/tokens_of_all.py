"""Every application token in force, for admins: people's own, and the organization's, which nobody else sees."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from flowground.access import application_tokens
from flowground.caller import Caller
from flowground.sign_in.roster import find_name
from flowground.store.people.tokens import ORGANIZATION, StoredToken
from flowground.ui.api_access.tokens import draw_revoke, write_token_facts
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.names import read_names
from flowground.ui.page.paging import PAGE, ListPage, draw_list
from flowground.ui.people import open_row

_REFUSED = "organization:tokens:refused"


def draw_all_tokens(caller: Caller) -> None:
    st.caption("Organization tokens were created from the command line or before the first account.")
    failure.draw_kept(_REFUSED)

    def find(searched: str, offset: int) -> ListPage[StoredToken]:
        return ListPage(*bridge.ask(application_tokens.find_page, caller, searched, limit=PAGE, offset=offset))

    empty = "None yet. They are made in a flow's *API access*."
    draw_list("tokens", "Search tokens", find, partial(_draw_tokens, caller), empty=empty)


def _draw_tokens(caller: Caller, tokens: Sequence[StoredToken]) -> None:
    names = read_names({token.owner for token in tokens if token.owner})
    for token in tokens:
        whose = find_name(names, token.owner) if token.owner else ORGANIZATION
        facts = write_token_facts(caller, token, words.escape(f"{token.prefix}… of {whose}"))
        with open_row(f"organization:token:{token.id}", f"**{words.escape(token.name)}**", facts):
            draw_revoke(caller, token, _REFUSED, key=f"organization:revoke:{token.id}")
