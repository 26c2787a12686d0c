"""l2lib.groups against the decay list of transformers' Trainer, on small random architectures.

    python -m experiments.peers    runs this too

The exit code is 1 if a difference has no reason here, a reason is idle, or a count is off.

The Trainer goes by names and by one class: a parameter decays unless its full name has "bias",
"layernorm" or "rmsnorm" in it, or a part that is "norm" or ends in "_norm", or unless its module is
a LayerNorm. l2lib.groups goes by the class of the module and the parameter's role there. Every
difference is printed, with its reason. On each architecture one step with gradients of zero must
take from every tensor what the table of l2lib.groups says.
"""

import os
import re
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"  # configurations are all that is needed

import torch
import transformers

from l2lib.groups import ROLES, param_groups, table

transformers.logging.set_verbosity_error()
SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TEXT = {**SIZE, "vocab_size": 30}
IMAGE = {**SIZE, "image_size": 8, "patch_size": 4}
LLM = {**TEXT, "num_key_value_heads": 1}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
IDS = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}


class Reason(NamedTuple):
    """Why the lists differ in parameters of a role that the Trainer decays, or does not."""

    role: str
    trainer: bool
    glob: str
    """Of "CLASS NAME"."""
    words: str


# The first that fits counts.
REASONS = {
    "rows": Reason(
        "embedding",
        True,
        "*Embedding *",
        "a table of embeddings: l2lib decays none unless asked, the Trainer has no rule for them",
    ),
    "learned": Reason(
        "embedding",
        True,
        "*",
        "a bare parameter that stands for a token or for positions: by the rules an embedding",
    ),
    "batch": Reason(
        "gamma",
        True,
        "BatchNorm2d *",
        "the γ of a batch norm, whose name is no norm in the Trainer's sense",
    ),
    "norm_f": Reason(
        "gamma",
        True,
        "*RMSNorm *.norm_f.weight",
        "the γ of an RMS norm: norm_f neither is norm nor ends so",
    ),
    "scale": Reason(
        "gamma",
        True,
        "*.layer_scale_parameter",
        "a factor for each channel: a γ that belongs to no norm",
    ),
    "length": Reason(
        "g",
        True,
        "*.original0",
        "the length g of weight norm: l2lib counts it among the scales, with γ",
    ),
    "state": Reason(
        "other",
        True,
        "MambaMixer *",
        "rates, as logarithms (A_log), and factors of a skip (D): decay pulls the rates towards 1",
    ),
    "heat": Reason(
        "other",
        True,
        "*logit_scale",
        "the logarithm of a scale: decay pulls the scale towards 1",
    ),
    "table": Reason(
        "weight",
        False,
        "Linear *bias.weight",
        "a Linear layer that is called a bias: l2lib goes by the class and decays it",
    ),
    "prefix": Reason(
        "weight",
        False,
        "* roberta_prelayernorm.*",
        "a matrix of a model whose own name has layernorm in it: the Trainer decays none",
    ),
}


@dataclass(frozen=True)
class Architecture:
    """A model of transformers, at a small size.

    Attributes:
        words: what people call it.
        prefix: of its classes.
        head: the rest of its model's class.
        sizes: for its configuration.
        rules: for ``l2lib.groups``.
        differ: how many parameters differ, by the key of the reason.
    """

    words: str
    prefix: str
    head: str
    sizes: dict[str, Any]
    rules: dict[type | str, str] = field(default_factory=dict)
    differ: dict[str, int] = field(default_factory=dict)


RMS_NORM: dict[type | str, str] = {"*RMSNorm": "gamma"}
ARCHITECTURES = [
    Architecture("BERT", "Bert", "ForMaskedLM", TEXT, differ={"rows": 2}),
    Architecture(
        "DistilBERT",
        "DistilBert",
        "ForMaskedLM",
        {"vocab_size": 30, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
        differ={"rows": 1},
    ),
    Architecture(
        "RoBERTa, norms first", "RobertaPreLayerNorm", "ForMaskedLM", TEXT, differ={"prefix": 13}
    ),
    Architecture(
        "LayoutLMv3",
        "LayoutLMv3",
        "ForSequenceClassification",
        {**TEXT, "coordinate_size": 2, "shape_size": 4, "input_size": 16},
        rules={"LayoutLMv3Model": "embedding"},
        differ={"rows": 7, "learned": 2, "table": 3},
    ),
    Architecture(
        "GPT-2",
        "GPT2",
        "LMHeadModel",
        {"vocab_size": 30, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 8, **IDS},
        rules={"Conv1D": "weight"},
        differ={"rows": 1},
    ),
    Architecture(
        "T5",
        "T5",
        "ForConditionalGeneration",
        {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
        rules={"T5LayerNorm": "gamma"},
    ),
    Architecture("Llama", "Llama", "ForCausalLM", LLM, rules=RMS_NORM, differ={"rows": 1}),
    Architecture(
        "Qwen3", "Qwen3", "ForCausalLM", {**LLM, "head_dim": 8}, rules=RMS_NORM, differ={"rows": 1}
    ),
    Architecture(
        "Mixtral",
        "Mixtral",
        "ForCausalLM",
        {**LLM, "num_local_experts": 2},
        rules={**RMS_NORM, "MixtralExperts": "weight", "MixtralTopKRouter": "weight"},
        differ={"rows": 1},
    ),
    Architecture(
        "Mamba",
        "Mamba",
        "ForCausalLM",
        {"vocab_size": 30, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2},
        rules={**RMS_NORM, "MambaMixer": "other"},
        differ={"norm_f": 1, "state": 4},
    ),
    Architecture(
        "ViT",
        "ViT",
        "ForImageClassification",
        IMAGE,
        rules={"ViTEmbeddings": "embedding"},
        differ={"learned": 2},
    ),
    Architecture(
        "ResNet",
        "ResNet",
        "ForImageClassification",
        {**STAGES, "embedding_size": 8},
        differ={"batch": 8},
    ),
    Architecture(
        "EfficientNet",
        "EfficientNet",
        "ForImageClassification",
        {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 8},
        differ={"batch": 15},
    ),
    Architecture(
        "ConvNeXt",
        "ConvNext",
        "ForImageClassification",
        {**STAGES, "num_stages": 2},
        rules={"ConvNextLayer": "gamma"},
        differ={"scale": 2},
    ),
    Architecture(
        "Swin",
        "Swin",
        "ForImageClassification",
        {
            "image_size": 16,
            "patch_size": 2,
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "window_size": 4,
        },
        rules={"SwinRelativePositionBias": "embedding"},
    ),
    Architecture(
        "CLIP",
        "CLIP",
        "Model",
        {"text_config": {**TEXT, **IDS}, "vision_config": IMAGE, "projection_dim": 8},
        rules={"CLIPVisionEmbeddings": "embedding", "logit_scale": "other"},
        differ={"rows": 3, "learned": 1, "heat": 1},
    ),
    Architecture(
        "Whisper",
        "Whisper",
        "ForConditionalGeneration",
        {
            "vocab_size": 30,
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "max_source_positions": 8,
            "max_target_positions": 8,
            "decoder_start_token_id": 0,
            **IDS,
        },
        differ={"rows": 1},
    ),
    Architecture(
        "Wav2Vec2",
        "Wav2Vec2",
        "ForCTC",
        {
            **TEXT,
            "conv_dim": (8, 8),
            "conv_stride": (2, 2),
            "conv_kernel": (3, 3),
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
        },
        rules={"Wav2Vec2Model": "embedding"},
        differ={"learned": 1, "length": 1},
    ),
]


class Parameter(NamedTuple):
    """What the two lists say of a parameter."""

    name: str
    cls: str
    """Of its module."""
    role: str
    ours: bool
    trainer: bool
    """Whether it decays by l2lib, and by the Trainer."""

    @property
    def reason(self) -> str | None:
        """Why the lists differ in it, as a key of REASONS; None if that is not known."""
        for key, reason in REASONS.items():
            kind = (reason.role, reason.trainer) == (self.role, self.trainer)
            if kind and fnmatchcase(f"{self.cls} {self.name}", reason.glob):
                return key
        return None


def parameters(architecture: Architecture, model: Any) -> list[Parameter]:
    """What the two lists say of every parameter that l2lib finds."""
    trainer = set(transformers.Trainer.get_decay_parameter_names(None, model))
    found = []
    for group in param_groups(model, 1.0, rules=architecture.rules):
        for name in group["names"]:
            cls = type(model.get_submodule(name.rpartition(".")[0])).__name__
            decays = group["weight_decay"] > 0
            found.append(Parameter(name, cls, group["role"], decays, name in trainer))
    return found


def compare(architecture: Architecture) -> bool:
    """Print where the two lists differ on one architecture, and why; is it as expected?"""
    config = getattr(transformers, f"{architecture.prefix}Config")(**architecture.sizes)
    model = getattr(transformers, f"{architecture.prefix}{architecture.head}")(config)
    every = parameters(architecture, model)
    named = {name for name, p in model.named_parameters() if p.requires_grad}
    differ = by_reason(every)
    counts = {key: len(found) for key, found in differ.items()}
    right = counts == architecture.differ and {each.name for each in every} == named
    right = right and shrinks_as_told(architecture, model)
    print(f"{'passed' if right else 'FAILED'}  {architecture.words:22}{summary(every)}")
    for key, found in differ.items():
        tell(key, found)
    return right


def shrinks_as_told(architecture: Architecture, model: Any) -> bool:
    """Does a step with gradients of zero do what the table says, each role at a λ of its own?"""
    decays = {role: 0.5 / (i + 1) for i, role in enumerate(ROLES)}
    groups = param_groups(model, 1.0, decay_factors=decays, rules=architecture.rules)
    optimizer = torch.optim.SGD(groups, lr=0.5)
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        p.data.fill_(1)
        p.grad = torch.zeros_like(p)
    rows = table(model, optimizer).rows
    told = {role: decay for role, decay, *_ in rows if not decay.startswith(("frozen", "no g"))}
    optimizer.step()
    return all(
        abs(p.detach() - (1 - 0.5 * float(told[group["role"]]))).max() < 1e-6
        for group in optimizer.param_groups
        for p in group["params"]
    )


def summary(every: list[Parameter]) -> str:
    """How many parameters there are, and how many decay by each list."""
    theirs = sum(each.trainer for each in every)
    ours = sum(each.ours for each in every)
    return f"{len(every):4} tensors; Trainer decays {theirs}, l2lib {ours}"


def by_reason(every: list[Parameter]) -> dict[str | None, list[Parameter]]:
    """The parameters in which the lists differ."""
    found: dict[str | None, list[Parameter]] = {}
    for each in every:
        if each.ours != each.trainer:
            found.setdefault(each.reason, []).append(each)
    return found


def tell(key: str | None, found: list[Parameter]) -> None:
    """Print the parameters that differ for a reason."""
    who = "Trainer only" if found[0].trainer else "l2lib only"
    patterns = dict.fromkeys(re.sub(r"\b\d+\b", "N", each.name) for each in found)
    why = REASONS[key].words if key else "NO REASON"
    print(f"{'':8}{who}, {len(found)}: {', '.join(patterns)}\n{'':10}{why}")


def main() -> int:
    """Compare on every architecture; 1 if a difference is not as it is written here."""
    failed = sum(not compare(each) for each in ARCHITECTURES)
    idle = set(REASONS) - {key for each in ARCHITECTURES for key in each.differ}
    if idle:
        print(f"FAILED  reasons that are not used: {', '.join(sorted(idle))}")
    return int(failed > 0 or bool(idle))


if __name__ == "__main__":
    sys.exit(main())
