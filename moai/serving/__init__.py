"""The server that programs ask, as they ask OpenAI's: `moai serve`."""
