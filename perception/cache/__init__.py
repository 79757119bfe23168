"""What experts saw in pictures, kept in a folder: looked at once, read ever after."""

from perception.cache.cached import CachedPerception

__all__ = ["CachedPerception"]
