"""A frozen network and a landmark head put to use on images of one's own. Nothing here knows a run."""
