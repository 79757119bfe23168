"""Ways of answering that need no training: several drafts (Self-MoA), and the contrast with a weaker self (SCMoE)."""
