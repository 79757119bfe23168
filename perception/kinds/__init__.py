"""The kinds of experts, one file each: what a kind says, draws and stores. `perception.registry` lists them."""
