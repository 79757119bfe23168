"""What sparse decoders learn from text, beside dense ones: experiments in cells, each of which is one JSON line."""
