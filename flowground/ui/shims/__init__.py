"""The insides of Streamlit and uvicorn that pages and server rest on, each with a test in tests/test_shims.py."""
