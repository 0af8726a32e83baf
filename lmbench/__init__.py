"""lmbench: one protocol for unsupervised and self-supervised learning of object landmarks."""

__version__ = "0.4.0"
