"""What training does with sparse layers alone."""
