"""Datasets as their authors hand them out: archives, lists, MATLAB files, masks, and whether they are what they claim to be."""
