"""Models in folders, which may come from anyone: looked through before they are read, and compared afterwards."""
