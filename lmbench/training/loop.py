"""The training loop: Lightning Fabric, batches from the pixel store, checkpoints that a killed run goes on from."""

from __future__ import annotations

import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmbench import progress
from lmbench.config.model import Optimiser, Training
from lmbench.data.pixels import DevicePixels, PixelStore
from lmbench.errors import DataError, LmbenchError, StaleError, UsageError
from lmbench.seeds import generator_for
from lmbench.store import manifests
from lmbench.store.files import write_atomically
from lmbench.training.objective import Objective

CHECK_EVERY = 25  # steps between two looks at the loss; looking makes a GPU wait

Curve = list[dict[str, float]]
PROBE = "probe"  # begins the names of its figures in a curve


def train(
    objective: Objective,
    pixels: PixelStore,
    config: Training,
    *,
    seed: int,
    key: str,
    checkpoint: Path,
    device: torch.device,
    precision: str,
    label: str,
    probe: Callable[[int], dict[str, float]] | None = None,
    probed: str = "",
) -> tuple[Curve, float]:
    """Trains in place; returns the learning curve (one entry an epoch) and the seconds spent over all processes.

    ``checkpoint`` is written every ``config.checkpoint_minutes`` and when the run is interrupted, and continued from
    where it stands; the numbers are those of an uninterrupted run, bit for bit on the CPU. A damaged one is named, and
    training starts anew. ``probe(epoch)`` adds to the curve, in which no figures of another probe than ``probed`` stay. In
    ``bf16`` the objective's ``loss`` is under autocast; views, parameters and the probe are float32. Raises LmbenchError for
    a loss that is not finite (the last good checkpoint stays), StaleError for a checkpoint of something else.
    """
    from lmbench.training.fabric import open_fabric

    total = config.steps(len(pixels))
    steps_per_epoch = total // max(1, config.epochs)
    batch_size = min(config.batch_size, len(pixels))
    fabric = open_fabric(device, precision)
    # An objective without trainable parameters is solved in closed form: it looks at every batch, without gradients.
    learns = bool(objective.trainable())
    optimiser: Any = build_optimiser(objective, config.optimiser) if learns else None
    objective.to(device)
    state = _load(checkpoint, key)
    if state is not None:
        objective.load_state_dict(state["model"])
        if learns:
            optimiser.load_state_dict(state["optimiser"])
    model, optimiser = fabric.setup(objective, optimiser) if learns else (fabric.setup(objective), None)
    objective.train()
    done, curve, before = (state["step"], state["curve"], state["seconds"]) if state else (0, [], 0.0)
    if state and state.get("probed") != probed:
        curve = without_probe(curve)
    source = DevicePixels(pixels, device)
    started = saved = time.monotonic()
    sums: dict[str, Tensor] = state["sums"] if state else {}
    sums = {k: v.to(device) for k, v in sums.items()}

    def save(step: int) -> None:
        seconds = before + time.monotonic() - started
        content = {"key": key, "step": step, "curve": curve, "seconds": seconds, "sums": sums, "probed": probed}
        content |= {"model": objective.state_dict(), "optimiser": optimiser.state_dict() if learns else {}}
        written = io.BytesIO()  # torch's own writer does not say why the system refuses a file
        torch.save(content, written)
        write_atomically(checkpoint, written.getbuffer(), listed=True)

    if probe is not None and not curve and done == 0:
        curve.append({"epoch": 0.0, **_probed(probe, 0, objective)})
    step = done
    order: tuple[int, Tensor] = (-1, torch.empty(0))
    note = ""
    with stopping_gently() as interrupted, progress.task(label, total * batch_size) as bar:
        bar.skip(done * batch_size)
        while step < total:
            epoch, position = divmod(step, steps_per_epoch)
            if order[0] != epoch:
                order = (epoch, torch.randperm(len(pixels), generator=generator_for(seed, label, "order", epoch)))
            images = source.batch(order[1][position * batch_size : (position + 1) * batch_size])
            rate = config.optimiser.lr * schedule(config, step / steps_per_epoch)
            views = objective.views(images, generator_for(seed, label, "views", step))
            with torch.set_grad_enabled(learns):
                losses = model(views)
            if learns:
                for group in optimiser.param_groups:
                    group["lr"] = rate * group.get("lr_factor", 1.0)
                optimiser.zero_grad()
                fabric.backward(losses["total"])
                if config.clip_norm:
                    fabric.clip_gradients(model, optimiser, max_norm=config.clip_norm, error_if_nonfinite=False)
                optimiser.step()
            objective.after_step(step + 1, total)
            step += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value.detach().float()
            last = position + 1 == steps_per_epoch
            if last or step % CHECK_EVERY == 0:
                _require_finite(losses, step, total, checkpoint)
            if last or step % CHECK_EVERY == 0:
                note = f"epoch {epoch + 1}/{config.epochs} loss {float(losses['total'].detach()):.4f}"
            bar.advance(batch_size, note)
            if last:
                entry = {"epoch": float(epoch + 1), "lr": rate} | {
                    k: float(v) / steps_per_epoch for k, v in sums.items()
                }
                if probe is not None:
                    entry |= _probed(probe, epoch + 1, objective)
                curve.append(entry)
                sums = {}
            due = step < total and time.monotonic() - saved > 60 * config.checkpoint_minutes
            if due or interrupted():  # also after the last step: what follows it has not happened yet
                _require_finite(losses, step, total, checkpoint)
                save(step)
                saved = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
    return curve, before + time.monotonic() - started


@contextmanager
def stopping_gently() -> Iterator[Callable[[], bool]]:
    """A block in which Ctrl-C and SIGTERM are asked for (``interrupted()``) instead of striking in the middle of a step.

    A second Ctrl-C strikes at once. Outside the main thread signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []

    def note_it(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    old = {number: signal.signal(number, note_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def schedule(config: Training, epoch: float) -> float:
    """The factor of the learning rate at a (fractional) epoch: linear warm-up, then as the schedule says."""
    if epoch < config.warmup_epochs:
        return (epoch + 1e-3) / config.warmup_epochs
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "steps":
        return config.decay ** sum(epoch >= m for m in config.milestones)
    if config.schedule == "exponential":
        return config.decay ** math.floor(epoch)
    along = (epoch - config.warmup_epochs) / max(config.epochs - config.warmup_epochs, 1e-9)
    return config.final_lr + (1 - config.final_lr) * (1 + math.cos(math.pi * min(along, 1.0))) / 2


def build_optimiser(objective: Objective, config: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of an objective's trainable parameters; vectors and scalars may go without weight decay."""
    parameters = objective.trainable()
    if config.decay_norms:
        groups: list[dict[str, Any]] = [{"params": parameters}]
    else:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    groups = [g for g in groups if g["params"]]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, amsgrad=config.amsgrad)


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``fp32`` or ``bf16``: auto takes bf16 on GPUs that have it and on CPUs with matrix units for it, where it pays."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if cpu_has_bf16_units() else "fp32"


def cpu_has_bf16_units() -> bool:
    """Whether this CPU multiplies bf16 in hardware (AMX or AVX512-BF16); emulated, it is slower than fp32."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(bool(p()) for p in probes if p is not None)


def resolve_device(wanted: str) -> torch.device:
    """The device by name; ``auto`` takes a GPU where there is one. Raises UsageError for a name that is none, DataError for a
    device that is not there."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"--device {wanted}: {str(error).splitlines()[0]}") from None
    try:
        torch.zeros(1, device=device).cpu()  # `meta` has no values to give
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DataError(f"--device {wanted}: {str(error).splitlines()[0]}") from None
    return device


def is_probed(row: Mapping[str, float]) -> bool:
    """Whether an entry of a curve has figures of a probe."""
    return any(name.startswith(PROBE) for name in row)


def without_probe(curve: Curve) -> Curve:
    """A curve without the figures of a probe, and without what was only probed: the state before the first epoch."""
    rows = [{k: v for k, v in row.items() if not k.startswith(PROBE)} for row in curve]
    return [row for row in rows if set(row) != {"epoch"}]


def _probed(probe: Callable[[int], dict[str, float]], epoch: int, objective: Objective) -> dict[str, float]:
    with progress.silenced():
        found = probe(epoch)
    objective.train()
    return found


def _require_finite(losses: dict[str, Tensor], step: int, total: int, checkpoint: Path) -> None:
    for name, value in losses.items():
        if not math.isfinite(float(value.detach())):
            kept = (
                f"the last good checkpoint is {checkpoint}" if checkpoint.exists() else "no checkpoint was written yet"
            )
            raise LmbenchError(
                f"training: the loss term {name!r} is {float(value.detach())} at step {step} of {total}; {kept}. "
                "Lower the learning rate (--set stages.<name>.training.optimiser.lr=...)."
            )


def _load(checkpoint: Path, key: str) -> dict[str, Any] | None:
    """A checkpoint of this very stage, or None where there is none. Raises StaleError or LmbenchError."""
    if not checkpoint.exists():
        return None
    wrong = manifests.damage(checkpoint.parent, checkpoint.name)
    if wrong is not None:
        progress.say(f"the checkpoint {checkpoint} is damaged ({wrong}): the stage is trained from its start")
        checkpoint.unlink()
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        found = state["key"]
    except Exception as error:
        raise LmbenchError(
            f"checkpoint {checkpoint} is not one of lmbench's ({type(error).__name__}). "
            "Delete it to train from the start."
        ) from None
    if found != key:
        raise StaleError(f"checkpoint {checkpoint} belongs to another stage ({found[:12]}, not {key[:12]}); delete it.")
    loaded: dict[str, Any] = state
    return loaded
