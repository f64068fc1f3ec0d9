"""The local server: REST, merged requests, and its page."""
