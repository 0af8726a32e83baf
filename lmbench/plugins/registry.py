"""One generic, lazy registry for all kinds of components."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lmbench.errors import UsageError, did_you_mean
from lmbench.specs import Spec

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Entry(Generic[S]):
    """A spec with the distribution that owns it."""

    spec: S
    owner: str
    version: str

    @property
    def qualified(self) -> str:
        return f"{self.owner}:{self.spec.name}"

    def identity(self) -> dict[str, str]:
        """Who answers for this component: kind, name, distribution and version, as records state it."""
        return {"kind": self.spec.kind, "name": self.spec.name, "distribution": self.owner, "version": self.version}


class Registry(Generic[S]):
    """The components of one kind by name.

    Two owners may bring the same name: both stay, the bare name is refused with both qualified names
    (``distribution:name``). A name ending in ``/*`` or ``:*`` stands for a family and matches what begins like it.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, list[Entry[S]]] = {}
        self._families: set[str] = set()

    def add(self, spec: S, owner: str, version: str) -> None:
        """Adds a spec. Raises UsageError where the same owner brings the name twice."""
        entries = self._entries.setdefault(spec.name, [])
        if any(e.owner == owner for e in entries):
            raise UsageError(f"{owner} registers the {self.kind} {spec.name!r} twice; rename one of them.")
        entries.append(Entry(spec, owner, version))
        if is_family(spec.name):
            self._families.add(spec.name)

    def remove(self, spec: S, owner: str) -> None:
        """Takes one spec of one owner out again; nobody else's."""
        kept = [e for e in self._entries.get(spec.name, []) if e.owner != owner or e.spec is not spec]
        if kept:
            self._entries[spec.name] = kept
        else:
            self._entries.pop(spec.name, None)
            self._families.discard(spec.name)

    def get(self, name: str, preferred: Sequence[str] = ()) -> Entry[S]:
        """The entry of a bare or qualified name; of several owners' the first of ``preferred``.

        Raises UsageError: unknown (with the closest names) or ambiguous.
        """
        owner, _, bare = name.partition(":")
        for entry in self._matching(bare):
            if entry.owner == owner:
                return entry
        found = self._matching(name)
        if len(found) > 1:
            owned = {entry.owner: entry for entry in found}
            wanted = next((owner for owner in preferred if owner in owned), None)
            if wanted is not None:
                return owned[wanted]
            qualified = " or ".join(f"{e.owner}:{name}" for e in found)
            raise UsageError(f"{self.kind} {name!r} is brought by {len(found)} distributions: ask for {qualified}.")
        if not found:
            family = next((f for f in self.names() if is_family(f) and name in (f[:-2], f[:-1])), None)
            if family is not None:
                raise no_member(name, self._entries[family][0])
            raise UsageError(
                f"unknown {self.kind} {name!r}.{did_you_mean(name, self.names())} "
                f"`lmbench list {self.kind}s` shows what there is."
            )
        return found[0]

    def _matching(self, name: str) -> list[Entry[S]]:
        """What each owner means by a bare name, sorted by owner: his entry of that name, else his closest family."""
        best: dict[str, Entry[S]] = {}
        for family in sorted((f for f in self._families if is_member(f, name)), key=len):
            best |= {e.owner: e for e in self._entries[family]}
        best |= {e.owner: e for e in self._entries.get(name, [])}
        return [best[owner] for owner in sorted(best)]

    def names(self) -> list[str]:
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry[S]]:
        for name in self.names():
            yield from self._entries[name]

    def clashes(self) -> dict[str, list[Entry[S]]]:
        """The names that more than one distribution brings, also where one brings the family of another's name."""
        matching = {name: self._matching(name) for name in self.names()}
        return {name: entries for name, entries in matching.items() if len(entries) > 1}


def is_family(name: str) -> bool:
    """Whether a name stands for a family (``timm/*``, ``images:*``)."""
    return name[-2:] in ("/*", ":*")


def no_member(name: str, family: Entry[S]) -> UsageError:
    """The error of a family's name where one of its members is wanted."""
    kind, spec = family.spec.kind, family.spec
    return UsageError(
        f"unknown {kind} {name!r}: {spec.name} is a family; name one of it in place of the star ({spec.summary})."
    )


def is_member(family: str, name: str) -> bool:
    """Whether a bare name belongs to a family: it begins like it and says something after the separator."""
    return is_family(family) and name.startswith(family[:-1]) and len(name) >= len(family) and name != family


def family_member(family: str, name: str) -> str:
    """What follows the prefix of a family: ``family_member("images:*", "images:/x")`` is ``"/x"``, else ``""``.

    The name may be qualified (``owner:images:/x``).
    """
    for bare in (name, name.partition(":")[2]):
        if is_member(family, bare):
            return bare[len(family) - 1 :]
    return ""
