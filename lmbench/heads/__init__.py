"""Landmark heads, fitted on frozen output."""
