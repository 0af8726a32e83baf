"""All that a run imports, for processes that fork from one which has it: their seconds are those of the work alone."""

import lightning_fabric
import torch._dynamo
import torchvision

import lmbench.cli.run
import lmbench.report.pictures
import lmbench.report.plots
import lmbench.report.weights
import lmbench.runner
import lmbench_dve.dve
import lmbench_sparse.plugin
import lmbench_twostep.plugin
from lmbench.plugins.loading import get_plugins

__all__ = ["lightning_fabric", "lmbench", "lmbench_dve", "lmbench_sparse", "lmbench_twostep", "torch", "torchvision"]
get_plugins()
