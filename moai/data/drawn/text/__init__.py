"""What is written in drawn scenes: words of signs, pages of text."""
