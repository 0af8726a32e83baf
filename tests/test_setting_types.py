"""Settings as types: what a plugin writes, what its target is called with, what `describe` tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from lmbench.api import Annotations, Ascending, Colours, Fraction, Names, ObjectiveSpec, UsageError, ViewSettings
from lmbench.config.setting_types import complaints, describe
from lmbench.config.values import settings_of
from lmbench.specs import Spec


@dataclass(frozen=True)
class Good:
    """Settings of a plugin."""

    weight: Fraction = 0.5
    word: Literal["a", "b"] = "a"
    view: ViewSettings = ViewSettings(size=32)
    colour: Colours | None = None


def spec_with(settings: Any) -> Spec:
    return ObjectiveSpec(name="x", summary="", settings=settings)


def test_nested_settings_change_the_default_and_keep_its_other_fields() -> None:
    found = settings_of(spec_with(Good), {"view": {"flip_p": 0.5}, "colour": {}})
    assert found == Good(view=ViewSettings(size=32, flip_p=0.5), colour=Colours())
    assert settings_of(spec_with(Good), found) is found


@dataclass(frozen=True)
class Lists:
    names: Names = ()
    rising: Annotated[tuple[float, ...], Ascending()] = ()
    numbers: Annotations = ("all",)


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [("names", ["a", "a"]), ("names", [""]), ("rising", [2, 1]), ("rising", [1, 1]), ("numbers", []),
     ("numbers", ["some"]), ("numbers", [0]), ("numbers", [1, 1]), ("numbers", [True])],
)  # fmt: skip
def test_a_list_keeps_what_its_marks_say(setting: str, wrong: Any) -> None:
    with pytest.raises(UsageError, match=rf"x\.{setting} = .*: expected a list, each"):
        settings_of(spec_with(Lists), {setting: wrong}, "x")
    right = {"names": ["a", "b"], "rising": [1, 2.5], "numbers": [1, 5, "all"]}
    assert settings_of(spec_with(Lists), right) == Lists(("a", "b"), (1.0, 2.5), (1, 5, "all"))


def test_describing_settings_tells_default_type_and_range() -> None:
    told = describe(Good)
    assert told["weight"] == {"default": 0.5, "type": "a number, above 0, at most 1"}
    assert told["word"]["type"] == "a or b"
    assert told["view.size"] == {"default": 32, "type": "a whole number, 8 to 4096"}


@dataclass
class NotFrozen:
    a: int = 1


@dataclass(frozen=True)
class NoDefault:
    a: int


@pytest.mark.parametrize("wrong", [NotFrozen, NoDefault, int, {"a": 1}])
def test_what_is_no_type_of_settings_is_told_when_the_plugin_is_loaded(wrong: Any) -> None:
    assert complaints(wrong) and not complaints(Good)
