"""Pure functions on tensors: coordinates, heatmaps and warps.

Nothing here knows of datasets, networks or runs. Points are ``(..., 2)``, x before y; every function states
in a ``Convention:`` block which unit it reads and how pixels sit on the normalised axis.
"""
