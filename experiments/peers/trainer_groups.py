"""l2lib.groups against the decay list of the Trainer in the transformers package, on small random real architectures.

    python -m experiments.peers    runs this too; exit code 1 if a difference has no reason here, a reason is idle, or a
                                   count is off

The Trainer goes by names and by one class: a parameter decays unless its full name has "bias", "layernorm" or "rmsnorm"
in it, or a part that is "norm" or ends in "_norm", or unless its module is a LayerNorm. l2lib.groups goes by the class
of the module and the parameter's role there. Every difference is printed, with its reason.
"""

import os
import re
import sys
from fnmatch import fnmatchcase
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # configurations are all that is needed

import transformers

from l2lib.groups import param_groups

transformers.logging.set_verbosity_error()
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TEXT, IMAGE = {**SIZE, "vocab_size": 30}, {**SIZE, "image_size": 8, "patch_size": 4}
LLM, STAGES = {**TEXT, "num_key_value_heads": 1}, {"hidden_sizes": [8, 16], "depths": [1, 1]}
IDS = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}

# Why the two lists differ: role, whether the Trainer decays it, a glob of "CLASS NAME", in words; the first that fits.
REASONS = {
    "rows": ("embedding", True, "*Embedding *",
             "a table of embeddings: l2lib leaves them alone unless asked, the Trainer has no rule for them"),
    "learned": ("embedding", True, "*",
                "a bare parameter that stands for a token or for positions: the rules say that it is an embedding"),
    "batch": ("gamma", True, "BatchNorm2d *", "the γ of a batch norm, whose name is no norm in the Trainer's sense"),
    "norm_f": ("gamma", True, "*RMSNorm *.norm_f.weight", "the γ of an RMS norm: norm_f neither is norm nor ends so"),
    "scale": ("gamma", True, "*.layer_scale_parameter", "a factor for each channel: a γ that belongs to no norm"),
    "length": ("g", True, "*.original0", "the length g of weight norm: l2lib counts it among the scales, with γ"),
    "state": ("other", True, "MambaMixer *",
              "rates, as logarithms (A_log), and factors of a skip (D): decay pulls the rates towards 1"),
    "heat": ("other", True, "*logit_scale", "the logarithm of a scale: decay pulls the scale towards 1"),
    "table": ("weight", False, "Linear *bias.weight",
              "a Linear layer that is called a bias: l2lib goes by the class and decays it"),
    "prefix": ("weight", False, "* roberta_prelayernorm.*",
               "a matrix of a model whose own name has layernorm in it: the Trainer decays none"),
}  # fmt: skip

# Architecture, classes, sizes, rules for l2lib.groups, and how many parameters differ for which reason.
MODELS: list[tuple[str, str, str, dict[str, Any], dict[type | str, str], dict[str, int]]] = [
    ("BERT", "Bert", "ForMaskedLM", TEXT, {}, {"rows": 2}),
    ("DistilBERT", "DistilBert", "ForMaskedLM",
     {"vocab_size": 30, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}, {}, {"rows": 1}),
    ("RoBERTa, norms first", "RobertaPreLayerNorm", "ForMaskedLM", TEXT, {}, {"prefix": 13}),
    ("LayoutLMv3", "LayoutLMv3", "ForSequenceClassification",
     {**TEXT, "coordinate_size": 2, "shape_size": 4, "input_size": 16},
     {"LayoutLMv3Model": "embedding"}, {"rows": 7, "learned": 2, "table": 3}),
    ("GPT-2", "GPT2", "LMHeadModel",
     {"vocab_size": 30, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 8, **IDS},
     {"Conv1D": "weight"}, {"rows": 1}),
    ("T5", "T5", "ForConditionalGeneration",
     {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
     {"T5LayerNorm": "gamma"}, {}),
    ("Llama", "Llama", "ForCausalLM", LLM, {"*RMSNorm": "gamma"}, {"rows": 1}),
    ("Qwen3", "Qwen3", "ForCausalLM", {**LLM, "head_dim": 8}, {"*RMSNorm": "gamma"}, {"rows": 1}),
    ("Mixtral", "Mixtral", "ForCausalLM", {**LLM, "num_local_experts": 2},
     {"*RMSNorm": "gamma", "MixtralExperts": "weight", "MixtralTopKRouter": "weight"}, {"rows": 1}),
    ("Mamba", "Mamba", "ForCausalLM",
     {"vocab_size": 30, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2},
     {"*RMSNorm": "gamma", "MambaMixer": "other"}, {"norm_f": 1, "state": 4}),
    ("ViT", "ViT", "ForImageClassification", IMAGE, {"ViTEmbeddings": "embedding"}, {"learned": 2}),
    ("ResNet", "ResNet", "ForImageClassification", {**STAGES, "embedding_size": 8}, {}, {"batch": 8}),
    ("EfficientNet", "EfficientNet", "ForImageClassification",
     {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 8}, {}, {"batch": 15}),
    ("ConvNeXt", "ConvNext", "ForImageClassification", {**STAGES, "num_stages": 2},
     {"ConvNextLayer": "gamma"}, {"scale": 2}),
    ("Swin", "Swin", "ForImageClassification",
     {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
     {"SwinRelativePositionBias": "embedding"}, {}),
    ("CLIP", "CLIP", "Model", {"text_config": {**TEXT, **IDS}, "vision_config": IMAGE, "projection_dim": 8},
     {"CLIPVisionEmbeddings": "embedding", "logit_scale": "other"}, {"rows": 3, "learned": 1, "heat": 1}),
    ("Whisper", "Whisper", "ForConditionalGeneration",
     {"vocab_size": 30, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
      "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_source_positions": 8,
      "max_target_positions": 8, "decoder_start_token_id": 0, **IDS}, {}, {"rows": 1}),
    ("Wav2Vec2", "Wav2Vec2", "ForCTC",
     {**TEXT, "conv_dim": (8, 8), "conv_stride": (2, 2), "conv_kernel": (3, 3), "num_conv_pos_embeddings": 4,
      "num_conv_pos_embedding_groups": 2}, {"Wav2Vec2Model": "embedding"}, {"learned": 1, "length": 1}),
]  # fmt: skip


def reason(role: str, trainer: bool, name: str) -> str | None:
    """Why the lists differ in a parameter, named "CLASS NAME", as a key of REASONS; None if that is not known."""
    fits = (key for key, (*kind, glob, _) in REASONS.items() if kind == [role, trainer] and fnmatchcase(name, glob))
    return next(fits, None)


def compare(words: str, prefix: str, head: str, sizes: dict[str, Any], rules: Any, expected: dict[str, int]) -> bool:
    """Print where the two lists differ on one architecture, and why; is it as expected?"""
    config = getattr(transformers, f"{prefix}Config")(**sizes)
    model = getattr(transformers, f"{prefix}{head}")(config)
    theirs = set(transformers.Trainer.get_decay_parameter_names(None, model))
    groups = param_groups(model, 1.0, rules=rules)
    ours = {name: group for group in groups for name in group["param_names"]}
    complete = set(ours) == {name for name, p in model.named_parameters() if p.requires_grad}
    differ = {name: g["role"] for name, g in ours.items() if (g["weight_decay"] > 0) != (name in theirs)}
    found: dict[str | None, list[str]] = {}
    for name, role in differ.items():
        cls = type(model.get_submodule(name.rpartition(".")[0])).__name__
        found.setdefault(reason(role, name in theirs, f"{cls} {name}"), []).append(name)
    right = complete and {key: len(names) for key, names in found.items()} == expected
    counts = sum(name in theirs for name in ours), sum(group["weight_decay"] > 0 for group in ours.values())
    shown = f"{len(ours):4} tensors; Trainer decays {counts[0]}, l2lib {counts[1]}"
    print(f"{'passed' if right else 'FAILED'}  {words:22}{shown}")
    for key, names in found.items():
        who = "Trainer only" if names[0] in theirs else "l2lib only"
        patterns = dict.fromkeys(re.sub(r"\b\d+\b", "N", name) for name in names)
        print(f"{'':8}{who}, {len(names)}: {', '.join(patterns)}\n{'':10}{REASONS[key][3] if key else 'NO REASON'}")
    return right


def main() -> int:
    """Compare on every architecture; 1 if a difference is not as it is written here."""
    failed = sum(not compare(*row) for row in MODELS)
    if idle := set(REASONS) - {key for *_, expected in MODELS for key in expected}:
        print(f"FAILED  reasons that are not used: {', '.join(sorted(idle))}")
    return int(failed > 0 or bool(idle))


if __name__ == "__main__":
    sys.exit(main())
