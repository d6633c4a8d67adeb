"""The script of every page: finds the caller and their pages, renders what all pages share, then runs the page.

It stands in pages/, not beside it: with a folder `pages` beside its script, Streamlit would run the files in that
folder without this script, until somebody opened `/`.
"""

import streamlit as st

from flowground.ui.page.bridge import find_caller, needs_owner_code, read_shared_flow
from flowground.ui.page.browser import LOOKS
from flowground.ui.shell import navigation
from flowground.ui.shell.navigation import list_pages, render_sidebar
from flowground.ui.sign_in.sign_in import enter_as_owner, take_code_from_link

st.set_page_config(page_icon=navigation.find_icon())

caller = find_caller()
flow = read_shared_flow()
has_sidebar = caller is not None and flow is None
pages = list_pages(caller, flow)
page = st.navigation(pages, position="hidden")
# Set once, before anything is rendered, since a change would move it. Home's cards stand side by side, and so do a
# flow's picture and its file.
is_wide = has_sidebar and (page is pages[0] or page.url_path == "inside")
st.set_page_config(layout="wide" if is_wide else "centered")
# The small picture is for the closed sidebar; without a sidebar it would always replace the large one.
st.logo(navigation.find_logo(), icon_image=navigation.find_icon() if has_sidebar else None, size="large")
for style in LOOKS:
    st.html(style)
# With `local_mode: link`, this browser may have opened the terminal's link.
if caller is None and needs_owner_code() and take_code_from_link() and find_caller() is not None:
    enter_as_owner()
if caller is not None:
    if caller.kind == "local":
        take_code_from_link()
    if flow is None:
        render_sidebar(caller, pages)
page.run()
