"""The networks behind backends."""
