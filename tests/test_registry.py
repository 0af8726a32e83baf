"""The registry: bare, qualified and family names, each meaning one thing or refused."""

from __future__ import annotations

import itertools

import pytest

from lmbench.errors import UsageError
from lmbench.plugins.registry import Registry, family_member
from lmbench.specs import HeadSpec


def head(name: str) -> HeadSpec:
    return HeadSpec(name=name, summary="", target="a:b")


def registry(*owned: tuple[str, str]) -> Registry[HeadSpec]:
    """A registry of heads from (owner, name) pairs."""
    made: Registry[HeadSpec] = Registry("head")
    for owner, name in owned:
        made.add(head(name), owner, "1")
    return made


def test_a_name_gives_its_entry_with_owner_and_version() -> None:
    entry = registry(("core", "ols")).get("ols")
    assert (entry.owner, entry.version, entry.qualified) == ("core", "1", "core:ols")


def test_an_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(UsageError, match=r"unknown head 'rigde'. Did you mean 'ridge'"):
        registry(("core", "ols"), ("core", "ridge")).get("rigde")


def test_an_unknown_name_says_how_to_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="`lmbench list heads` shows what there is"):
        registry().get("x")


@pytest.mark.parametrize("name", ["images", "images:"])
def test_the_bare_name_of_a_family_asks_for_one_of_it(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"unknown head 'images:?': images:\* is a family; name one of it in place of the star"
    ):
        registry(("core", "images:*"), ("core", "imagenet")).get(name)


def test_one_owner_cannot_bring_a_name_twice() -> None:
    with pytest.raises(UsageError, match="core registers the head 'ols' twice"):
        registry(("core", "ols"), ("core", "ols"))


def test_a_name_of_two_owners_is_refused_with_both_qualified_names() -> None:
    found = registry(("b", "ols"), ("a", "ols"))
    with pytest.raises(UsageError, match="brought by 2 distributions: ask for a:ols or b:ols"):
        found.get("ols")
    assert [found.get(q).owner for q in ("a:ols", "b:ols")] == ["a", "b"]


def test_a_qualified_name_of_an_unknown_owner_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown head 'c:ols'. Did you mean 'ols'"):
        registry(("a", "ols")).get("c:ols")


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/vit.dino/x", "core:timm/resnet18"])
def test_a_family_matches_what_begins_like_it(name: str) -> None:
    assert registry(("core", "timm/*")).get(name).spec.name == "timm/*"


@pytest.mark.parametrize("name", ["images:/a/b", "images:x:y", "core:images:/a/b"])
def test_a_family_with_a_colon_matches_too(name: str) -> None:
    assert registry(("core", "images:*")).get(name).spec.name == "images:*"


@pytest.mark.parametrize("name", ["timm", "timm/", "tim/x", "xtimm/x"])
def test_a_family_matches_nothing_else(name: str) -> None:
    with pytest.raises(UsageError, match="unknown head"):
        registry(("core", "timm/*")).get(name)


def test_a_member_of_two_families_is_refused_and_can_be_asked_for_by_owner() -> None:
    found = registry(("a", "timm/*"), ("b", "timm/*"))
    with pytest.raises(UsageError, match="ask for a:timm/x or b:timm/x"):
        found.get("timm/x")
    assert found.get("b:timm/x").owner == "b"
    assert list(found.clashes()) == ["timm/*"]


def test_a_name_within_the_family_of_another_owner_is_a_clash() -> None:
    """Else installing b would change what timm/x means, without a word."""
    found = registry(("a", "timm/*"), ("b", "timm/x"))
    with pytest.raises(UsageError, match="ask for a:timm/x or b:timm/x"):
        found.get("timm/x")
    assert found.get("a:timm/x").spec.name == "timm/*"
    assert list(found.clashes()) == ["timm/x"]
    assert found.get("timm/y").owner == "a"


def test_an_owner_may_treat_one_member_of_his_family_apart() -> None:
    found = registry(("a", "timm/*"), ("a", "timm/x"))
    assert found.get("timm/x").spec.name == "timm/x"
    assert found.clashes() == {}


def test_the_closest_of_an_owners_families_counts_whatever_the_order() -> None:
    owned = [("a", "hub/*"), ("a", "hub/dino/*")]
    for order in itertools.permutations(owned):
        assert registry(*order).get("hub/dino/small").spec.name == "hub/dino/*"


def test_entries_come_sorted_by_name() -> None:
    assert [e.spec.name for e in registry(("b", "z"), ("a", "y"))] == ["y", "z"]


def test_taking_out_one_spec_leaves_the_others() -> None:
    found = registry(("a", "x"), ("b", "x"), ("a", "y"))
    found.remove(found.get("a:x").spec, "a")
    assert [e.qualified for e in found] == ["b:x", "a:y"]


@pytest.mark.parametrize(
    ("family", "name", "member"),
    [
        ("timm/*", "timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("timm/*", "lmbench-baselines:timm/resnet18", "resnet18"),
        ("images:*", "images:/data/cats", "/data/cats"),
        ("images:*", "lmbench:images:/data/images:1", "/data/images:1"),
        ("images:*", "my-images:images:/x", "/x"),
        ("images:*", "images:", ""),
        ("resnet18", "resnet18", ""),
        ("timm/*", "timm/*", ""),
    ],
)
def test_the_member_of_a_family_is_what_follows_its_prefix(family: str, name: str, member: str) -> None:
    assert family_member(family, name) == member
