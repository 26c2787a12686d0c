"""The callbacks of README around l2lib.audit, in Lightning's Trainer and in that of transformers.

    python -m experiments.peers    runs this too

Each trains a small network with the callback and without, to the same bits, and must have counted
what the schedule made of η: N = Σ η_tλ.
"""

import io
import logging
import math
import os
import re
import sys
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import lightning
import torch
import transformers
from torch import Tensor, nn, optim

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
ROOT = Path(__file__).resolve().parents[2]
LR, LAM, STEPS = 0.01, 0.1, 60
X = torch.randn(240, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randint(0, 3, (240,), generator=torch.Generator().manual_seed(1))


class Trained(NamedTuple):
    """What a run left."""

    weights: list[Tensor]
    rates: list[float]
    """η of each step."""
    printed: str


class Network(nn.Module):
    """A small one, which also returns its loss, as transformers' Trainer wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)
        )

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss by its name."""
        return {"loss": nn.functional.cross_entropy(self.layers(x), labels)}


class Pairs(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The examples."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"x": X[i], "labels": Y[i]}


class Module(lightning.LightningModule):  # type: ignore[misc]
    """The network for Lightning."""

    def __init__(self, rates: list[float]) -> None:
        super().__init__()
        self.net = Network()
        self.rates = rates

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """The loss of a batch; notes η."""
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        loss: Tensor = self.net(**batch)["loss"]
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, whose η falls to zero."""
        optimizer = optim.AdamW(self.parameters(), lr=LR, weight_decay=LAM)
        falling = optim.lr_scheduler.LinearLR(optimizer, 1, 0.1, STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}


class Rates(transformers.TrainerCallback):  # type: ignore[misc]
    """Notes η of each step."""

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates

    def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Before the step."""
        self.rates.append(more["optimizer"].param_groups[0]["lr"])


def adapters() -> dict[str, type]:
    """The two classes of README, by their library."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {}
    for block in re.findall(r"^```py\n(.*?)^```", text, re.M | re.S):
        names: dict[str, Any] = {}
        exec(block, names)
        found["lightning" if "import Callback" in block else "transformers"] = names["Audit"]
    return found


def in_lightning(callback: type | None) -> Trained:
    """Sixty steps of Lightning's Trainer."""
    torch.manual_seed(0)
    rates: list[float] = []
    module, printed = Module(rates), io.StringIO()
    loader = torch.utils.data.DataLoader(Pairs(), batch_size=8, shuffle=True)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = lightning.Trainer(
        max_steps=STEPS,
        accelerator="cpu",
        enable_checkpointing=False,
        callbacks=[callback()] if callback else [],
        **quiet,
    )
    with redirect_stdout(printed):
        trainer.fit(module, loader)
    return Trained([p.detach() for p in module.net.parameters()], rates, printed.getvalue())


def in_transformers(callback: type | None) -> Trained:
    """Sixty steps of transformers' Trainer."""
    torch.manual_seed(0)
    rates: list[float] = []
    model, printed = Network(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(printed):
        options = transformers.TrainingArguments(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=8,
            learning_rate=LR,
            weight_decay=LAM,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
        )
        callbacks = [Rates(rates), *([callback()] if callback else [])]
        transformers.Trainer(model, options, train_dataset=Pairs(), callbacks=callbacks).train()
    return Trained([p.detach() for p in model.parameters()], rates, printed.getvalue())


def faults(library: str, adapter: type) -> list[str]:
    """What is not as it should be of a library's callback."""
    run = {"lightning": in_lightning, "transformers": in_transformers}[library]
    plain, watched = run(None), run(adapter)
    found = []
    if not all(map(torch.equal, plain.weights, watched.weights)):
        found.append(f"{library}: the callback changed the training")
    if f"Audit: {STEPS} of {STEPS} steps, 3 looks" not in watched.printed:
        found.append(f"{library}: printed {watched.printed[:200]!r}")
    total = sum(watched.rates) * LAM
    line = next((x for x in watched.printed.splitlines() if "layers.0.weight" in x), "")
    numbers = [float(word) for word in re.findall(r"\s(\d[\d.e-]*)(?=\s)", line)]
    if not any(math.isclose(number, total, rel_tol=6e-3) for number in numbers):
        found.append(f"{library}: no N = {total:.3g} in {line!r}")
    return found


def main() -> int:
    """Run both; 1 if something is amiss."""
    warnings.filterwarnings("ignore", module="lightning")
    found = adapters()
    both = found.keys() == {"lightning", "transformers"}
    amiss = [] if both else ["README has not both callbacks"]
    for library, adapter in found.items():
        amiss += faults(library, adapter)
        print(f"{library}: the audit of README, trained beside a run without it")
    print("\n".join(amiss) or "both train to the same bits, and N is Σ ηλ")
    return int(bool(amiss))


if __name__ == "__main__":
    sys.exit(main())
