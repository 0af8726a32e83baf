"""The run's configuration: its model, its types, and how it comes from names, presets and what a user sets."""
