"""Evaluations of frozen output."""
