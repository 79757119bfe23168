"""`moai upcycle`, `moai prune` and `moai merge`: models with sparse layers."""
