"""How drawn scenes look: sprites, backgrounds, signs, conditions."""
