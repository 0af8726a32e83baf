"""The method placeholder for lmbench."""
