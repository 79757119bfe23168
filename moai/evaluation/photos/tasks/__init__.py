"""What is asked about photographs, one file a task."""
