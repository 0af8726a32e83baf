"""Landmark data: schema, preprocessing, pixel store, subsets, folders."""
