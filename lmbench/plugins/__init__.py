"""Plugins: their hooks, finding and isolating them, the registries of what they bring."""
