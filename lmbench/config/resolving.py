"""From names and options to one complete RunConfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lmbench.config.fitting import check_unused, fitted
from lmbench.config.model import SECTIONS, RegressionConfig, RunConfig, StageConfig, merge, validate
from lmbench.config.object_scale import matched
from lmbench.config.values import arguments, briefly, require_plain, shown
from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.plugins.loading import Plugins
from lmbench.specs import PRESETS, MethodSpec, StageSpec, VariantSpec


def resolve_run(
    plugins: Plugins,
    method: str,
    dataset: str,
    *,
    preset: str | None = None,
    variant: str = "",
    pretrain_on: str = "",
    seed: int = 0,
    untrained: bool = False,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> RunConfig:
    """The configuration of one run; later ``overrides`` win. Raises UsageError with the closest names.

    The preset is ``quick`` on embedded data and ``small`` elsewhere unless it is named. ``untrained``: the control of a
    method, every stage of which is left as it was initialised (closed-form ones are solved all the same).
    """
    spec: MethodSpec = plugins.find("method", method).spec
    data = plugins.find("dataset", dataset).spec
    if not data.has_landmarks and not data.classes:
        raise UsageError(
            f"{dataset} has no landmarks to judge by: name it in --pretrain-on, and a labelled set in --dataset."
        )
    chosen = choose_variant(spec, variant)
    lacking = plugins.lacking(chosen.needs)
    if lacking:
        raise DataError(
            f"{spec.name} {chosen.name} is made of parts of {', '.join(lacking)}, which is not installed (or disabled: "
            f"see `lmbench plugin doctor`). Install it: pip install {' '.join(lacking)}"
        )
    everybodys, plugins = plugins, plugins.of_recipe(method, chosen.name)
    preset = preset or ("small" if data.folder else "quick")
    if preset not in PRESETS or (spec.presets and preset not in spec.presets):
        known = [p for p in PRESETS if not spec.presets or p in spec.presets]
        raise UsageError(
            f"unknown preset {preset!r} of {spec.name}; it has {', '.join(known)}.{did_you_mean(preset, known)}"
        )
    tree = merge(_base(spec, chosen), PROTOCOL_OF_PRESET.get(preset, {}))
    # Defaults above the protocol: a method that discovers landmarks has a head of its own.
    special = [v for k, v in spec.paper_on.items() if preset == "paper" and fnmatchcase(dataset, k)]
    for layer in (spec.defaults, spec.presets.get(preset, {}), *special, chosen.overrides):
        tree = _lay(tree, layer)
    asked: dict[str, Any] = {}
    for override in overrides:
        require_plain(override, "")
        asked = merge(asked, override)
    tree = _lay(tree, asked)
    _require_tables(tree, spec)
    named: dict[str, Any] = {"method": method, "variant": chosen.name, "dataset": dataset, "preset": preset}
    named |= {"seed": seed, "untrained": untrained}
    named["pretrain_on"] = (pretrain_on or dataset) if chosen.stages else ""
    for key, value in named.items():
        if tree.get(key, value) != value:
            raise UsageError(
                f"{key} = {briefly(tree[key])}: the command line says {value!r}; give it by --{key.replace('_', '-')}."
            )
    tree = validate(merge(tree, named)).model_dump()  # from here on everything is of the type that it should have
    _refuse_ambiguous(everybodys, asked)
    tree = _with_head_settings(plugins, tree, preset, data.recipes, asked)
    tree = _with_layers(plugins, _with_backbone(tree))
    unused = {name for name in tree["stages"] if name not in chosen.stages and name in _names(spec)}
    for name in sorted(unused):
        check_unused(plugins, name, StageConfig(**tree["stages"][name]))
    tree["stages"] = {name: stage for name, stage in tree["stages"].items() if name not in unused}
    if untrained:
        tree["stages"] = {name: _left_untrained(plugins, stage) for name, stage in tree["stages"].items()}
    return matched(fitted(plugins, spec, validate(tree)), plugins, asked)


# The protocol of a preset, the same for every method. `smoke` is for tests: its numbers mean nothing.
PROTOCOL_OF_PRESET: dict[str, dict[str, Any]] = {
    "smoke": {
        "train_images": 48,
        "test_images": 24,
        "references": False,
        "regression": {"size": 24},
        "probe": {"images": 24, "annotations": 4, "draws": 2, "steps": 4},
    },
    "quick": {"regression": {"size": 24}},
    "small": {},
    "paper": {"regression": {"head": "softargmax_linear"}},
}

# How long a head is fitted in a preset, by the head's name; its own defaults elsewhere.
HEAD_OF_PRESET: dict[str, dict[str, dict[str, Any]]] = {
    "smoke": {
        "softargmax_conditioned": {"steps": 8, "few_shot_steps": 8},
        "softargmax_linear": {"epochs": 1, "few_shot_epochs": 1},
    },
    "quick": {"softargmax_conditioned": {"steps": 300, "lr": 0.02}},  # fewer left synthfaces near its mean shape
}


def choose_variant(spec: MethodSpec, name: str) -> VariantSpec:
    """A variant by name, or the method's default. Raises UsageError with those there are."""
    found = spec.variant(name)
    if found is None:
        known = [v.name for v in spec.variants]
        raise UsageError(f"{spec.name} has no variant {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}")
    return found


def _refuse_ambiguous(plugins: Plugins, asked: Mapping[str, Any]) -> None:
    """Raises UsageError for a part that the user, not the recipe, names and that several distributions bring."""
    named = [("backbone", asked.get("backbone")), *(("task", t) for t in _listed(asked.get("tasks")))]
    named += [
        ("backbone", _table(asked.get("read")).get("backbone")),
        ("head", _table(asked.get("regression")).get("head")),
    ]
    for stage in map(_table, _table(asked.get("stages")).values()):
        named += [(kind, stage.get(kind)) for kind in ("objective", "backbone")]
    for kind, name in named:
        if isinstance(name, str) and name not in ("none", "{backbone}"):
            plugins.find(kind, name)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _require_tables(tree: Mapping[str, Any], spec: MethodSpec) -> None:
    """Refuses a value where settings with names belong, and a stage that the method does not have."""
    stages = tree["stages"] if isinstance(tree["stages"], Mapping) else {}
    places = [(key, tree.get(key, {})) for key in ("stages", *SECTIONS)]
    places += [(f"stages.{name}", stage) for name, stage in stages.items()]
    for place, value in places:
        if not isinstance(value, Mapping):
            raise UsageError(
                f"{shown(place)} = {briefly(value)}: has settings of its own; set one of them, as {shown(place)}.NAME=value."
            )
    for name, stage in stages.items():
        if not {"objective", "backbone"} <= set(stage):
            known = sorted(_names(spec))
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(
                f"{shown(f'stages.{name}')}: {spec.name} has no stage {name!r}; {has}.{did_you_mean(name, known)}"
            )


def _names(spec: MethodSpec) -> set[str]:
    return {s.name for s in spec.stages}


def _base(spec: MethodSpec, variant: VariantSpec) -> dict[str, Any]:
    return {
        "backbone": spec.backbone,
        "stages": {s.name: _stage(s) for s in spec.stages},
        "read": {
            "backbone": variant.backbone,
            "backbone_settings": dict(variant.backbone_settings),
            "layers": tuple(variant.layers),
        },
        "regression": {"layers_alone": tuple(variant.layers_alone)},
        "tasks": tuple(spec.tasks),
    }


def _stage(stage: StageSpec) -> dict[str, Any]:
    return {
        "objective": stage.objective,
        "backbone": stage.backbone,
        "backbone_settings": dict(stage.backbone_settings),
        "settings": dict(stage.settings),
        "training": dict(stage.training),
        "starts_from_parent": stage.starts_from_parent,
        "reads": tuple(stage.reads),
        "data": stage.data,
    }


def _left_untrained(plugins: Plugins, stage: Mapping[str, Any]) -> Mapping[str, Any]:
    if plugins.find("objective", stage["objective"]).spec.closed_form:
        return stage
    return merge(stage, {"training": {"epochs": 0}})


def _lay(tree: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """``tree`` with ``layer`` laid on it; where that names another head, the settings of the one before go with it."""
    head, before = (_regression(t).get("head") for t in (layer, tree))
    if head is not None and head != before:
        kept = {k: v for k, v in _regression(tree).items() if k != "head_settings"}
        tree = {**tree, "regression": kept}
    return merge(tree, layer)


def _regression(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    found = tree.get("regression")
    return found if isinstance(found, Mapping) else {}


def _with_head_settings(
    plugins: Plugins,
    tree: dict[str, Any],
    preset: str,
    recipes: Mapping[str, Mapping[str, Any]],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """The tree with every setting of its head: the head's own, the dataset's recipe, what the preset changes of them, what was
    asked for. ``recipes``: see DatasetSpec; another recipe in place of one holds unless it was ``asked`` for by name.

    All of them, so that a default that changes makes another configuration.
    """
    head = tree.get("regression", {}).get("head", RegressionConfig().head)
    known = plugins.find("head", head).spec
    own = known.default_settings()
    of_preset = HEAD_OF_PRESET.get(preset, {}).get(head, {})
    given = tree.get("regression", {}).get("head_settings", {})
    of_dataset = dict(recipes.get(arguments(known, given, "regression.head_settings").get("recipe", ""), {}))
    replaced = {"recipe": of_dataset.pop("recipe")} if "recipe" in of_dataset else {}
    if "recipe" in _regression(asked).get("head_settings", {}):
        replaced = {}
    settings = {**own, **of_dataset, **of_preset, **given, **replaced}
    return merge(tree, {"regression": {"head_settings": settings}})


def _with_backbone(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with ``{backbone}`` filled in: in stages, in what is read, and in the settings of a head of images."""
    name = str(tree["backbone"])
    stages = {k: {**s, "backbone": s["backbone"].replace("{backbone}", name)} for k, s in tree["stages"].items()}
    read = {**tree["read"], "backbone": tree["read"]["backbone"].replace("{backbone}", name)}
    head = {k: name if v == "{backbone}" else v for k, v in tree["regression"].get("head_settings", {}).items()}
    return merge({**tree, "stages": stages, "read": read}, {"regression": {"head_settings": head}})


def _with_layers(plugins: Plugins, tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with ``("*",)`` replaced by the names of all maps of the backbone that is read, deepest first."""
    if tuple(tree["read"]["layers"]) != ("*",):
        return tree
    spec = plugins.find("backbone", tree["read"]["backbone"]).spec
    if not spec.maps:  # a family: its members say what maps they have once they are built
        return tree
    return merge(tree, {"read": {"layers": tuple(m.name for m in reversed(spec.maps))}})
