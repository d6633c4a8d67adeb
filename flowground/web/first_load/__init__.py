"""What a browser is sent before the first message of a page: index.html, and Streamlit's scripts and styles."""
