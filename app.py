"""The process: `streamlit run app.py` (or `uvicorn app:app`) serves pages and API on one port."""

import gc

gc.disable()  # objects of the start stay: collecting meanwhile takes a tenth of its CPU time. `Web` enables it

import runpy
from pathlib import Path

import streamlit as st

from flowground.core.errors import StoreUnavailable
from flowground.ui.page.bridge import render_failure
from flowground.ui.shims import streamlit_process
from flowground.web.app import Web

ROOT = Path(__file__).resolve().parent
ROUTER = ROOT / "pages" / "router.py"

if not streamlit_process.find_this_page():
    streamlit_process.patch_streamlit(logged_elsewhere=StoreUnavailable)  # the store logs an outage once
    web = Web(ROOT)
    app = st.App(
        ROUTER, routes=web.routes, middleware=web.middleware, lifespan=web.lifespan, on_script_error=render_failure
    )
else:
    # AppTest.from_file("app.py") runs this file as the script itself.
    gc.enable()
    runpy.run_path(str(ROUTER), run_name="__main__")
