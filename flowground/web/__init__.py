"""The server around the pages: middleware, routes, API, and the start and end of the process, as st.App takes them."""
