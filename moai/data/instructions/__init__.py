"""Instructions about anything but a picture, answered by the plain language model: so it stays what it was."""
