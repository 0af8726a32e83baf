"""From names and options to one complete RunConfig."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from lmbench.config import presets
from lmbench.config.fitting import BACKBONE, completed, find_at, named_in, require_fitting, settled, wanted_tasks
from lmbench.config.model import NO_NETWORK, OWN_FIELDS, Network, RunConfig, Stage, merge, plain
from lmbench.config.object_scale import matched
from lmbench.config.plain import Tree, as_table, briefly, require_plain, shown
from lmbench.config.ranges import HeadName
from lmbench.config.setting_types import hints, marks, without_weights
from lmbench.config.values import complete, of_type, settings_of, value_of
from lmbench.errors import DataError, PluginError, UsageError, did_you_mean
from lmbench.plugins.loading import Plugins
from lmbench.specs import DatasetSpec, HeadSpec, MethodSpec, TaskSpec, VariantSpec

Layer = tuple[str, Tree]
"""What is laid on a recipe, after the words for where it comes from."""


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
    everywhere: Tree | None = None,
    overrides: Sequence[Tree] = (),
) -> RunConfig:
    """The configuration of one run; later ``overrides`` win. Raises UsageError with the closest names.

    The preset is ``quick`` on embedded data and own folders, ``small`` elsewhere, unless it is named. ``untrained``: the control
    of a method (see `untrained_of`). ``everywhere``: settings of all tasks that have one of the name (``draws``); ``overrides``
    win over them.
    """
    spec: MethodSpec = plugins.find("method", method).spec
    data: DatasetSpec = plugins.find("dataset", dataset).spec
    if not data.has_landmarks and not data.classes:
        raise UsageError(
            f"{dataset} has no landmarks to judge by: name it in --pretrain-on, and a labelled set in --dataset."
        )
    chosen = choose_variant(spec, variant)
    _require_installed(plugins, spec, chosen)
    everybodys, plugins = plugins, plugins.of_recipe(method, chosen.name)
    preset = _preset(spec, data, preset)
    asked = _asked(overrides)
    layers = list(_layers(spec, chosen, preset, dataset))
    names = _names_of_tasks(spec, [layer for _, layer in layers], asked)
    wanted = wanted_tasks(plugins, names)
    asked = merge(_of_everybody(wanted, everywhere or {}), asked)
    # Sections of other tasks are looked at too, where somebody gives one: as they would be if these ran.
    given = {name for layer in (*(layer for _, layer in layers), asked) for name in layer} | set(wanted)
    layers[1:1] = [
        (f"preset {preset} of the task {name}", {name: task.presets[preset]})
        for name, task in _tasks(plugins, wanted).items()
        if name in given and preset in task.presets
    ]
    options = {
        "method": method, "variant": chosen.name, "dataset": dataset, "preset": preset, "seed": seed,
        "untrained": untrained, "pretrain_on": (pretrain_on or dataset) if chosen.stages else "",
    }  # fmt: skip
    tasks = _tasks(plugins, wanted)

    def built(recipe: Sequence[Layer], above: Tree, said: Tree) -> RunConfig:
        tree = _base(spec, chosen)
        for _, layer in [*recipe, ("", above)]:
            tree = _lay(tree, plain(layer), tasks)
        config = _typed(_with_options(_judged_last(tree, chosen), options), spec, plugins, chosen.stages)
        _refuse_ambiguous(everybodys, said, _heads(tasks))
        return completed(plugins, _with_recipes(plugins, config, preset, data, asked))

    try:
        config = built(layers, asked, asked)
    except UsageError:
        _require_own_layers(layers, lambda recipe: built(recipe, {"tasks": names}, {}))
        raise
    if untrained:
        config = untrained_of(plugins, config)
    config = _with_layers(plugins, config)
    require_fitting(plugins, config)
    return matched(config, plugins, asked)


def config_of(plugins: Plugins, tree: Tree) -> RunConfig:
    """The configuration that ``RunConfig.dump`` made a tree of. Raises UsageError for what is none."""
    require_plain(tree, "")
    plugins = plugins.of_recipe(str(tree.get("method")), str(tree.get("variant")))
    spec = plugins.find("method", str(tree["method"])).spec
    return completed(plugins, _typed(tree, spec, plugins, list(tree["stages"])))


def choose_variant(spec: MethodSpec, name: str) -> VariantSpec:
    """A variant by name, or the method's default. Raises UsageError with those there are."""
    found = spec.variant(name)
    if found is None:
        known = [v.name for v in spec.variants]
        raise UsageError(f"{spec.name} has no variant {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}")
    return found


def untrained_of(plugins: Plugins, config: RunConfig) -> RunConfig:
    """A complete configuration with every stage left as it was initialised, but for those that are solved in closed form;
    without stages, with a network that has no weights of others."""
    stages = {
        name: s if plugins.find("objective", s.objective).spec.closed_form else s.untrained
        for name, s in config.stages.items()
    }
    if stages or not config.network:
        return replace(config, stages=stages)
    settings = without_weights(config.network.backbone_settings)
    return replace(config, network=Network(backbone=config.network.backbone, backbone_settings=settings))


def _require_installed(plugins: Plugins, spec: MethodSpec, variant: VariantSpec) -> None:
    """Raises DataError where a variant is made of parts of a distribution that is not here."""
    lacking = plugins.lacking(variant.needs)
    if lacking:
        raise DataError(
            f"{spec.name} {variant.name} is made of parts of {', '.join(lacking)}, which is not installed (or disabled: "
            f"see `lmbench plugin doctor`). Install it: pip install {' '.join(lacking)}"
        )


def _preset(spec: MethodSpec, data: DatasetSpec, preset: str | None) -> str:
    preset, known = preset or ("small" if data.folder else "quick"), presets.names(spec)
    if preset not in known:
        raise UsageError(
            f"unknown preset {preset!r} of {spec.name}; it has {', '.join(known)}.{did_you_mean(preset, known)}"
        )
    return preset


def _tasks(plugins: Plugins, wanted: Mapping[str, TaskSpec]) -> dict[str, TaskSpec]:
    """Every task by its bare name: the ``wanted`` ones of a run, and of the others those that one distribution brings."""
    found = {}
    for name in plugins.tasks.names():
        with contextlib.suppress(UsageError):
            found[name] = plugins.find("task", name).spec
    return {**found, **wanted}


def _names_of_tasks(spec: MethodSpec, layers: Sequence[Tree], asked: Tree) -> tuple[str, ...]:
    """The tasks of a run as they are asked for, by the last layer that names some."""
    named = next((layer["tasks"] for layer in (asked, *reversed(layers)) if "tasks" in layer), spec.tasks)
    return tuple(value_of(hints(RunConfig)["tasks"], plain(named), "tasks"))


def _of_everybody(wanted: Mapping[str, TaskSpec], everywhere: Tree) -> dict[str, Any]:
    """The settings of all tasks as sections of those that have one of the name."""
    own = {name: {k: v for k, v in everywhere.items() if k in hints(t.settings)} for name, t in wanted.items()}
    return {name: given for name, given in own.items() if given}


def _asked(overrides: Sequence[Tree]) -> dict[str, Any]:
    """What the user asks for, as one tree. Raises UsageError for what no configuration can hold."""
    asked: dict[str, Any] = {}
    for override in overrides:
        require_plain(override, "")
        asked = merge(asked, override)
    return asked


def _judged_last(tree: Tree, variant: VariantSpec) -> Tree:
    """The tree, which has no network beside the stages. Raises UsageError where it has."""
    if variant.stages and "network" in tree:
        last = variant.stages[-1]
        raise UsageError(f"network: what is judged is what the last stage trains; set stages.{last}.backbone_settings.")
    return tree


def _require_own_layers(layers: Sequence[Layer], build: Callable[[Sequence[Layer]], Any]) -> None:
    """Raises PluginError, with where it comes from, for a layer that spoils a recipe by itself, whatever the user asks for."""
    try:
        build(layers)
    except UsageError:
        for count in range(len(layers) + 1):
            try:
                build(layers[:count])
            except UsageError as error:
                if not count:
                    return  # the recipe itself, whose parts may not be here
                raise PluginError(f"{layers[count - 1][0]}: {error}") from None


def _with_options(tree: Tree, options: Tree) -> dict[str, Any]:
    """The tree with what the options of the command line say. Raises UsageError where it says another thing."""
    for key, value in options.items():
        if tree.get(key, value) != value:
            raise UsageError(
                f"{key} = {briefly(tree[key])}: the command line says {value!r}; give it by --{key.replace('_', '-')}."
            )
    return {**tree, **options}


def _base(spec: MethodSpec, variant: VariantSpec) -> dict[str, Any]:
    """What the recipe itself says, before any preset."""
    unknown = set(variant.stages) - {s.name for s in spec.stages}
    if unknown:
        raise UsageError(
            f"{spec.name} {variant.name} names the stage {unknown.pop()!r}, which the method does not have."
        )
    network = {"backbone": variant.backbone, "backbone_settings": plain(variant.backbone_settings)}
    return {
        "backbone": spec.backbone,
        "stages": {s.name: s.dump() for s in spec.stages},
        "read": {"layers": variant.layers},
        "tasks": spec.tasks,
    } | ({} if variant.stages else {"network": network})


def _layers(spec: MethodSpec, variant: VariantSpec, preset: str, dataset: str) -> Iterator[Layer]:
    """What is laid on the recipe, in order, but for the tasks' presets, which follow everybody's, and for what is asked. The
    method's defaults lie above everybody's preset: one that discovers landmarks has a head of its own."""
    yield f"preset {preset} of lmbench", presets.of_everybody(preset)
    yield f"defaults of {spec.name}", spec.defaults
    yield presets.named(spec, preset), presets.of_method(spec, preset)
    if preset == "paper":
        for pattern, name in spec.paper_on.items():
            if fnmatchcase(dataset, pattern):
                yield f"preset paper of {spec.name} on {pattern}", presets.on_dataset(spec, name)
    yield f"overrides of {spec.name} {variant.name}", variant.overrides


def _lay(tree: Tree, layer: Tree, tasks: Mapping[str, TaskSpec]) -> dict[str, Any]:
    """``tree`` with ``layer`` laid on it; where that names another head, the settings of the one before go with it."""
    for task, setting, own in _heads(tasks):
        head, before = _table(layer.get(task)).get(setting), _table(tree.get(task))
        if head is not None and head != before.get(setting):
            tree = {**tree, task: {k: v for k, v in before.items() if k != own}}
    return merge(tree, layer)


def _heads(tasks: Mapping[str, TaskSpec]) -> Iterator[tuple[str, str, str]]:
    """(task, setting that names a head, setting that holds the head's own) of every task that has one."""
    for task, spec in tasks.items():
        for setting, hint in hints(spec.settings).items():
            yield from ((task, setting, mark.settings) for mark in marks(hint) if isinstance(mark, HeadName))


def _typed(tree: Tree, spec: MethodSpec, plugins: Plugins, stages: Sequence[str]) -> RunConfig:
    """The configuration of a tree with these of its stages, each value of its type; the settings of components as they were
    given. What is given for others of the method's stages, and for tasks that neither run nor are used, is looked at and left
    out.
    """
    own = {name: tree[name] for name in OWN_FIELDS if name in tree and name != "stages"}
    base = RunConfig(method="-", variant="-", dataset="-", preset="-", backbone="-")
    config = complete(RunConfig, own, "", base, "a run")
    wanted = wanted_tasks(plugins, config.tasks)
    tasks = _tasks(plugins, wanted)
    known = (*OWN_FIELDS, *tasks)
    for name in tree:
        if name not in known:
            raise _no_setting(plugins, name, known)
    given = as_table(tree.get("stages", {}), "stages")
    every = {name: _stage(name, stage, spec) for name, stage in given.items()}
    for name, stage in every.items():
        if name not in stages:
            _require_possible(plugins, name, stage, config.backbone)
    settings: dict[str, Any] = {}
    for name, task in tasks.items():
        if name in wanted:
            settings[name] = of_type(task.settings, tree.get(name, {}), name, f"task {name!r}")
        elif name in tree:
            settled(plugins, config.backbone, task, tree[name], name)
    settings = {name: settings[name] for name in wanted}
    return replace(config, stages={name: every[name] for name in stages}, settings=settings)


def _no_setting(plugins: Plugins, name: str, known: Sequence[str]) -> UsageError:
    """The error of a name at the top of a configuration that is none, or that several tasks share."""
    if name in plugins.tasks.names():
        try:
            plugins.find("task", name)
        except UsageError as error:
            return UsageError(f"{shown(name)}: {error}")
    return UsageError(f"{shown(name)} is no setting.{did_you_mean(name, known)}")


def _stage(name: str, given: Any, spec: MethodSpec) -> Stage:
    known, place = [s.name for s in spec.stages], f"stages.{name}"
    if name not in known:
        has = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise UsageError(f"{shown(place)}: {spec.name} has no stage {name!r}; {has}.{did_you_mean(name, known)}")
    values = {"name": name, **as_table(given, place)}
    if values["name"] != name:
        raise UsageError(f"{place}.name = {briefly(values['name'])}: a stage keeps its name.")
    return complete(Stage, values, place, Stage(name=name, objective="-"), "a stage")


def _require_possible(plugins: Plugins, name: str, stage: Stage, backbone: str) -> None:
    """Raises UsageError for settings of a stage of another variant that cannot be, where its parts are installed."""
    own = stage.backbone.replace(BACKBONE, backbone)
    for kind, component, given, place in (
        ("objective", stage.objective, stage.settings, f"stages.{name}.settings"),
        ("backbone", own, stage.backbone_settings, f"stages.{name}.backbone_settings"),
    ):
        try:
            spec = plugins.find(kind, component).spec
        except UsageError:
            continue  # of a distribution that is not here, which matters to the variant that uses it
        settings_of(spec, given, place)


def _with_recipes(plugins: Plugins, config: RunConfig, preset: str, data: DatasetSpec, asked: Tree) -> RunConfig:
    """The configuration with the heads' settings of the preset and of the dataset's recipe below those that were given.

    Another recipe in place of one (see DatasetSpec) holds unless it was ``asked`` for by name.
    """
    sections = dict(config.settings)
    for task, section in config.settings.items():
        for part in named_in(section):
            if part.kind != "head":
                continue
            head: HeadSpec = find_at(plugins, "head", part.name, f"{task}.{part.setting}")
            given = as_table(getattr(section, part.settings), f"{task}.{part.settings}")
            recipe = getattr(settings_of(head, given, f"{task}.{part.settings}"), "recipe", "")
            of_dataset = dict(data.recipes.get(recipe, {}))
            replaced = {"recipe": of_dataset.pop("recipe")} if "recipe" in of_dataset else {}
            if "recipe" in _table(_table(asked.get(task)).get(part.settings)):
                replaced = {}
            settings = {**of_dataset, **head.presets.get(preset, {}), **given, **replaced}
            sections[task] = section = replace(section, **{part.settings: settings})
    return replace(config, settings=sections)


def _with_layers(plugins: Plugins, config: RunConfig) -> RunConfig:
    """The configuration with ``("*",)`` replaced by the names of all maps of the network that is judged, deepest first."""
    if config.read.layers != ("*",) or not config.network:
        return config
    maps = plugins.find("backbone", config.network.backbone).spec.maps
    # The members of a family say what maps they have once they are built.
    return replace(config, read=replace(config.read, layers=tuple(m.name for m in reversed(maps)))) if maps else config


def _refuse_ambiguous(plugins: Plugins, asked: Tree, heads: Iterator[tuple[str, str, str]]) -> None:
    """Raises UsageError for a part that the user, not the recipe, names and that several distributions bring."""
    named = [
        ("backbone", asked.get("backbone"), "backbone"),
        ("backbone", _table(asked.get("network")).get("backbone"), "network.backbone"),
        *(("head", _table(asked.get(task)).get(setting), f"{task}.{setting}") for task, setting, _ in heads),
    ]
    tasks = asked.get("tasks", ())
    for name in tasks if isinstance(tasks, list | tuple) else ():
        named.append(("task", name, "tasks"))
    for name, stage in _table(asked.get("stages")).items():
        named += [(kind, _table(stage).get(kind), f"stages.{name}.{kind}") for kind in ("objective", "backbone")]
    for kind, name, place in named:
        if isinstance(name, str) and name not in (NO_NETWORK, BACKBONE):
            find_at(plugins, kind, name, place)


def _table(value: Any) -> Tree:
    return value if isinstance(value, Mapping) else {}
