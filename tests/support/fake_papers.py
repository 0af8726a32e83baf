"""A throw-away distribution that brings a paper with one table of two rows, and the method whose rows they are."""

from __future__ import annotations

import textwrap
from pathlib import Path

from fake_plugins import install

HEADER = (
    "paper,table,method,method_label,supervision,backbone,feature_dim,variant,n_landmarks,pretrain_dataset,dataset,task,"
    "pairs,n_annotations,part,metric,unit,value,std,lower_is_better,note"
)
ROWS = (
    "theirpaper,Table 1,theirs,Ours,none,,,,,,faces,regression,,all,,iod,percent,21.5,,true,hand-typed",
    "theirpaper,Table 1,theirs,Ours,none,,,,,,faces,regression,,5,,iod,percent,25.25,1.5,true,",
)
RULES = """\
# Their rows.

[[theirs]]
variant = "mean"
note = "of their own code"
"""
PLUGIN = """\
from lmbench.api import MethodSpec, PaperSpec, VariantSpec, hookimpl

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    mean = VariantSpec(name="mean", summary="no features", backbone="none")
    return [
        MethodSpec(
            name="theirs",
            summary="the mean shape, for a test",
            backbone="none",
            variants=(mean,),
            defaults={"regression": {"head": "mean_shape"}},
            tasks=("regression",),
            published="lmbench_their:published.toml",
        )
    ]


@hookimpl
def lmbench_papers() -> list[PaperSpec]:
    return [
        PaperSpec(
            name="theirpaper",
            summary="one table",
            year=2030,
            rows="lmbench_their:published.csv",
            names={"dataset": {"faces": "synthfaces"}},
        )
    ]
"""


def write_paper(folder: Path, rows: tuple[str, ...] = ROWS, rules: str = RULES, header: str = HEADER) -> Path:
    """The package ``lmbench_their`` of the distribution ``lmbench-their``, as installed in ``folder``."""
    package = folder / "lmbench_their"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(PLUGIN, encoding="utf-8")
    (package / "published.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (package / "published.toml").write_text(textwrap.dedent(rules), encoding="utf-8")
    install(folder, "lmbench-their", "[lmbench]\ntheir = lmbench_their.plugin\n")
    return package
