"""Pure functions on tensors: coordinates, heatmaps, warps and dense correspondence.

Nothing here knows of datasets, networks or runs. Points are ``(..., 2)``, x before y; every function states
in a ``Convention:`` block which unit it reads and how pixels sit on the normalised axis.
"""
