"""What the web page shows and how it answers, without its layout; only `app.py` imports this."""
