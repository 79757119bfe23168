"""The backends of experts, one file each: how an expert is built, and from what. `perception.registry` lists them."""
