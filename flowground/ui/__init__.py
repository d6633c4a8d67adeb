"""Glue between the pages and the core: with pages/ and shims/ all that knows Streamlit."""
