"""What a page says of a flow that an admin switched off, or whose model is off."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from flowground import runtime
from flowground.caller import Caller, RunRequest
from flowground.ui.page import bridge, words
from flowground.wiring import WiredFlow

ICON = ":material/power_settings_new:"


def find_sentence(caller: Caller, wired: WiredFlow, overrides: Mapping[str, Any] | None = None) -> str:
    """What this caller is told who would run the flow with these overrides; "" where it runs."""
    running = runtime.get()
    if running.switches.is_stale:
        bridge.call(running.switches.refresh())
    off = running.switches.find_off(wired, RunRequest(tweaks=overrides or {}), caller)
    return off.message if off else ""


def draw_sentence(sentence: str) -> None:
    """Where there is one."""
    if sentence:
        st.info(words.escape(sentence), icon=ICON)
