"""Datasets as lmbench reads them: the schema and its checks, opening and preparing, images, boxes, masks, the pixel store.

Nothing here knows how the authors of a dataset hand it out: see `lmbench.originals`, which stands above.
"""
