"""Glue between the pages and the core: the only room besides pages/ that knows Streamlit."""
