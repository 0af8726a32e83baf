"""Metrics: pure NumPy functions of stored predictions, in float64, importing no torch.

Each module has one function that gives the value of every image and landmark and one that aggregates them.
"""
