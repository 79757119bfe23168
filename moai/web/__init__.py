"""The web page: what it shows, how it answers, and its server."""
