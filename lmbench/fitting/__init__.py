"""A landmark head on somebody's own points, on frozen features. Nothing here knows a run."""
