"""Settings as types: what a plugin writes, what its target is called with, what `describe` tells of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from lmbench.api import Colours, Fraction, ObjectiveSpec, ViewSettings
from lmbench.config.setting_types import complaints, describe
from lmbench.config.values import arguments, settings_of
from lmbench.errors import LmbenchError
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
    assert arguments(spec_with(Good), {})["view"]["size"] == 32
    assert arguments(replace(spec_with(Good), fixed={"model": "m"}), {})["model"] == "m"


def test_describing_settings_tells_default_type_and_range() -> None:
    told = describe(Good)
    assert told["weight"] == {"default": 0.5, "type": "a number, above 0, at most 1"}
    assert told["word"]["type"] == "a or b"
    assert told["view.size"] == {"default": 32, "type": "a whole number, 8 to 4096"}


OLD = {"count": 4, "weight": 0.5, "word": "a", "on": True, "maps": ("m",), "view": {}, "file": None}


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [("count", 4.5), ("count", "4"), ("count", True), ("weight", "x"), ("word", 3), ("on", 1), ("maps", "m"),
     ("maps", (1,)), ("view", 3), ("count", None)],
)  # fmt: skip
def test_settings_of_a_plugin_without_types_are_of_the_types_of_their_defaults(setting: str, wrong: Any) -> None:
    with pytest.raises(LmbenchError, match=rf"objective 'x'\.{setting} = .*: expected"):
        arguments(spec_with(OLD), {setting: wrong})
    changed = {"weight": 1, "maps": ["a", "b"], "view": {"size": 3}, "file": "f"}
    assert arguments(spec_with(OLD), changed) == OLD | changed | {"maps": ("a", "b")}


@dataclass
class NotFrozen:
    a: int = 1


@dataclass(frozen=True)
class NoDefault:
    a: int


@pytest.mark.parametrize("wrong", [NotFrozen, NoDefault, int, {"a b": 1}])
def test_what_is_no_type_of_settings_is_told_when_the_plugin_is_loaded(wrong: Any) -> None:
    assert complaints(wrong) and not complaints(Good) and not complaints(OLD)
