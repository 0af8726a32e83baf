"""What of a test split is trained on: images by their content, identities by their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def copies(digests: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, int], list[str]]:
    """How many images of each split have the content of another of it, and every content that stands in two splits.

    ``digests``: for each split the digest of each image's bytes by its name; an image with several objects stands once.
    """
    within: dict[str, int] = {}
    names: dict[str, dict[str, list[str]]] = {}
    for split, found in digests.items():
        within[split] = len(found) - len(set(found.values()))
        for name, digest in found.items():
            names.setdefault(digest, {}).setdefault(split, []).append(name)
    return within, [_said(places) for places in names.values() if len(places) > 1]


def _said(places: Mapping[str, Sequence[str]]) -> str:
    return " = ".join(f"{', '.join(names)} ({split})" for split, names in places.items())


def shared_identities(identities: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Every identity that stands in two splits, with its images. ``identities``: for each split that of each image by name."""
    places: dict[object, dict[str, list[str]]] = {}
    for split, found in identities.items():
        for name, identity in found.items():
            places.setdefault(identity, {}).setdefault(split, []).append(name)
    return [f"{identity}: {_said(split)}" for identity, split in places.items() if len(split) > 1]
