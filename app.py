"""The process: `streamlit run app.py` (or `uvicorn app:app`) serves pages and API on one port."""

import runpy
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from flowground.ui.page import pages_kept, protocol
from flowground.ui.page.failure import draw_failure, log_outages_once
from flowground.web import Web

ROOT = Path(__file__).resolve().parent
ROUTER = ROOT / "pages" / "router.py"

if get_script_run_ctx(suppress_warning=True) is None:
    protocol.limit()
    pages_kept.keep_less()
    log_outages_once()
    web = Web(ROOT)
    app = st.App(
        ROUTER, routes=web.routes, middleware=web.middleware, lifespan=web.lifespan, on_script_error=draw_failure
    )
else:
    # AppTest.from_file("app.py") runs this file as the script itself.
    runpy.run_path(str(ROUTER), run_name="__main__")
