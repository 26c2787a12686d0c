"""How nbval starts the chapters' kernels, wherever pytest is called from."""

import os
from typing import Any

import nbval.kernel

from notebooks import kernel_options

os.environ["TQDM_DISABLE"] = "1"  # a progress bar is no output to compare

_Manager = nbval.kernel.KernelManager


def _manager(**options: Any) -> Any:
    return _Manager(**kernel_options(), **options)


nbval.kernel.KernelManager = _manager
