"""What pages draw, and the conversation's socket. The only package that knows Streamlit."""
