"""What training added to or changed of a model, without the model itself."""
