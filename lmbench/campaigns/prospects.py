"""What stands before each of many runs: a record that has its numbers, a job to do, or neither; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmbench import job as jobs
from lmbench.backbones import build_backbone
from lmbench.campaigns.gaps import Gap, said
from lmbench.config.model import RunConfig, plain
from lmbench.data.opening import NotMade, OpenDataset
from lmbench.errors import DataError, LmbenchError
from lmbench.plugins.loading import Plugins
from lmbench.results.reading import read_record
from lmbench.results.record import RECORD, Record
from lmbench.store.files import free
from lmbench.training.loop import resolve_device

IN_WORK = Gap("waits", "another process is at it")


@dataclass(eq=False)
class Prospect:
    """A run that is wanted, with what it needs. ``gap``: why it is not done."""

    config: RunConfig
    job: jobs.Job | None = None
    record: Record | None = None
    actions: list[jobs.PlannedStage] = field(default_factory=list)
    gap: Gap | None = None

    @property
    def title(self) -> str:
        c = self.config
        return f"{c.method} / {c.output} on {c.dataset}" + (f", seed {c.seed}" if c.seed else "")

    @property
    def action(self) -> str:
        """In words: reuse of a record, or what its stages need; all of them where the data is not here."""
        if self.record is not None:
            return f"reuse {self.record.run}"
        words = {"reuse": "reuse", "continue": "go on with", "train": "train", "share": "share"}
        done = [
            f"{'initialise' if a['epochs'] == 0 and a['action'] == 'train' else words[a['action']]} {a['stage']}"
            for a in self.actions
        ]
        if self.job is None and not self.actions:
            done = ["wait for data", *(f"stage {name}" for name in self.config.stages)]
        return ", ".join([*done, f"judge by {' and '.join(self.config.tasks)}"])

    @property
    def waits(self) -> bool:
        """Whether there is something to do, and nothing against it."""
        return self.record is None and self.gap is None

    @property
    def views(self) -> int:
        """The image views that are still to be trained, as far as they are known."""
        training = ("train", "continue")
        return 0 if self.record else sum(a["views"] or 0 for a in self.actions if a["action"] in training)

    @property
    def finished(self) -> bool:
        """Whether its record is there now."""
        return self.job is not None and (self.job.folder / RECORD).exists()

    @property
    def locked(self) -> bool:
        """Whether another process is at this run."""
        return self.job is not None and _held(self.job.folder / "run")

    @property
    def training_elsewhere(self) -> bool:
        """Whether another process trains a stage that this run would wait for."""
        return self.job is not None and any(_held(self.job.stages_folder / key[:20]) for key in self.job.keys.values())


def look(
    configs: Sequence[RunConfig],
    plugins: Plugins,
    data_root: Path | None,
    runs: Path,
    kept: Path | None = None,
    device: str = "auto",
    make: bool = True,
) -> list[Prospect]:
    """What each run needs, without doing it; one that cannot be done has its gap.

    A finished run is found below ``runs``, and by its copy in a folder ``kept``, where what it was made from is the same.
    Without ``make`` nothing is rendered or written; what depends on data that is not rendered yet is then not known.
    """
    resolve_device(device)  # a mistake of the command line is told at once
    opened: dict[str, OpenDataset] = {}
    built: dict[str, Gap | None] = {}
    prospects = []
    for config in configs:
        prospect = Prospect(config)
        prospects.append(prospect)
        try:
            prospect.job = job = jobs.prepare(config, plugins, data_root, runs, device, opened, make)
            what = jobs.plan(job)
            prospect.actions = what["stages"]
            prospect.record = read_record(job.folder / RECORD) if what["finished"] else _kept(job, kept)
        except NotMade:
            prospect.actions = jobs.preview(config, plugins, data_root, runs, device)["stages"]
        except Exception as error:  # one run that cannot be prepared does not take the others along
            prospect.job = None
            prospect.gap = Gap("missing" if isinstance(error, DataError) else "failed", said(error))
        if prospect.waits and not config.stages:
            prospect.gap = _unbuildable(config, plugins, built)
    mark_shared(prospects)
    return prospects


def mark_shared(prospects: Sequence[Prospect]) -> None:
    """Calls a stage ``share`` where an earlier run of these trains it."""
    trained: set[str | None] = set()
    for prospect in prospects:
        for action in prospect.actions if prospect.waits else ():
            if action["key"] in trained and action["action"] != "reuse":
                action["action"] = "share"
            trained.add(action["key"])


def _kept(job: jobs.Job, folder: Path | None) -> Record | None:
    """The copy of a run's record beside leaderboards, if there are any and it was made from the very same."""
    if folder is None:
        return None
    try:
        record = read_record(folder / f"{job.folder.name}.json")
    except LmbenchError:
        return None
    return record if record.identity == job.identity and record.status == "ok" else None


def _unbuildable(config: RunConfig, plugins: Plugins, built: dict[str, Gap | None]) -> Gap | None:
    """Why the network of a run that trains none cannot be had (a package, weights); looked at once for each network."""
    if not config.network:
        return None
    name = f"{config.method} {plain(config.network)}"
    if name not in built:
        built[name] = None
        try:
            own = plugins.of_recipe(config.method, config.variant)
            build_backbone(config.network.backbone, config.network.backbone_settings, own)
        except Exception as error:
            built[name] = Gap("missing" if isinstance(error, DataError) else "failed", said(error))
    return built[name]


def _held(target: Path) -> bool:
    """Whether somebody holds the lock of a file or folder, which is left as it is."""
    if not Path(f"{target}.lock").exists():
        return False
    with free(target) as ours:
        return not ours
