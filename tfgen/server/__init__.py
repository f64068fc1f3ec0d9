"""The local server: REST API, request batching, and the explorer page."""
