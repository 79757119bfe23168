"""What stands where: random layouts of drawn scenes."""
