"""All that reaches into the insides of Streamlit 1.67 and uvicorn 0.54, and nothing else.

Importing a file of this room changes nothing. `streamlit_process.put_in_place` changes Streamlit before st.App is made;
what `uvicorn_server.find_server` gives changes the server of this process while it starts. How many connections there
may be, and for how long they may be idle, is decided in `flowground.web`; what a head, a frame or a message of a page
may hold, and how many lost pages are kept, stands here beside what it bounds. tests/test_shims.py fails where an inside
is not what it was in these versions.
"""
