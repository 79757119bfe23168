"""Conversations about pictures of one's own, in the forms that people keep them in."""
