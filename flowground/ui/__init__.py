"""What pages render, and the WebSocket of conversations. The only package that knows Streamlit."""
