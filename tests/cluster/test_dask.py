"""A sweep in the processes of a dask cluster: run by `make cluster`, which fetches dask."""

import re
import subprocess
import sys

import distributed
import numpy as np
import xarray as xr

from book.execute import ROOT
from l2lib.datasets import make_regression
from l2lib.sweep import MLP, Engine, sweep


def test_a_dask_cluster_gives_the_same_numbers():
    X, y = make_regression(20, seed=0, n_inputs=6)
    grid = {"lr": [0.01, 0.1, 0.2], "weight_decay": [0.0, 0.5], "seeds": [1, 2]}
    options = {"batch_size": 5, "steps": 12, "loss": "mse"}
    local = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        engine = Engine(executor=client.get_executor(), chunk_size=5)
        there = sweep(MLP((6, 4, 1)), X, y, **grid, **options, engine=engine)
    here = sweep(MLP((6, 4, 1)), X, y, **grid, **options)
    assert np.isfinite(here.train_loss).all()
    xr.testing.assert_identical(there, here)


def test_the_snippet_of_readme_runs_to_the_letter(tmp_path):
    """As a script, which every process of the cluster reads again."""
    snippets = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
    [snippet] = [text for text in snippets if "distributed" in text]
    (tmp_path / "snippet.py").write_text(snippet, encoding="utf-8")
    command, options = [sys.executable, "snippet.py"], {"capture_output": True, "text": True}
    done = subprocess.run(command, cwd=tmp_path, **options)
    assert (done.returncode, "train_accuracy" in done.stdout) == (0, True), done.stderr
