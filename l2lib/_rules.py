"""Rules that say a role: by class, by glob of class names or of parameters' names."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

ROLES = ("weight", "embedding", "bias", "gamma", "beta", "g", "slope", "other")
"""What a parameter can be for."""

Key = type | str
Rules = Mapping[Key, str]
"""Role by class, by glob of class names, or by glob of the parameters' full names."""


class Optional(str):
    """A pattern that may fit nothing."""

    __slots__ = ()


class Common(Optional):
    """A pattern of ``COMMON_RULES``: for what neither torch nor a reader's rule covers."""

    __slots__ = ()


def optional(key: type | str) -> str:
    """Mark a rule that may fit nothing in this model.

    Args:
        key: of a rule, as in ``roles``.

    Returns:
        The key, a class by its full name.

    Example:
        >>> from torch import nn
        >>> from l2lib.groups import roles
        >>> roles(nn.Linear(3, 2), rules={optional("*.cls_token"): "embedding"})
        {'weight': 'weight', 'bias': 'bias'}
    """
    return Optional(full_name(key) if isinstance(key, type) else key)


class _CommonClass(Common):
    """One of them for a class."""

    __slots__ = ()


class _CommonName(Common):
    """One of them for a parameter's name."""

    __slots__ = ()


def _classes(role: str, *keys: str) -> dict[Key, str]:
    return {_CommonClass(key): role for key in keys}


def _names(role: str, *keys: str) -> dict[Key, str]:
    return {_CommonName(key): role for key in keys}


COMMON_RULES: Rules = {
    **_classes("gamma", "*RMSNorm*", "*LayerNorm*", "*GroupNorm*", "*BatchNorm*", "*ScaleNorm*"),
    **_classes("gamma", "*LayerScale*", "*GRN"),
    **_classes("weight", "Conv1D", "*Router"),
    **_names("gamma", "*.gamma", "*.gamma_[12]", "*.lambda_[12]", "*.layer_scale*"),
    **_names("gamma", "*.ia3_l.*", "*.vera_lambda_[bd].*"),
    **_names("beta", "*.beta"),
    **_names("weight", "*.text_projection", "*.visual.proj", "*.experts.*_proj"),
    **_names("weight", "*.lora_[AB]", "*.lora_embedding_[AB].*"),
    **_names("bias", "*.experts.*_proj_bias", "*.dt_bias", "*logit_bias"),
    **_names("g", "*.lora_magnitude_vector.*"),
    **_names("embedding", "*cls_token*", "*class_token*", "*class_embedding", "*dist*_token*"),
    **_names("embedding", "*mask_token*", "*reg*_token*", "*query_tokens", "*memory_tokens"),
    **_names("embedding", "*detection_tokens", "*masked_spec_embed", "*.latents", "*.probe"),
    **_names("embedding", "*pos_emb*", "*position_emb*", "*position*_encoding*"),
    **_names("embedding", "*positional_embedding*", "*.attention_biases"),
    **_names("embedding", "*relative_position_bias_table"),
    **_names("embedding", "*.rel_pos_[hw]", "*.prompt_embeddings*", "*.trainable_tokens_*"),
    **_names("other", "*logit_scale", "*.A_log", "*.D", "*.sinks"),
}
"""Rules for what many models bring: norms and matrices of their own, tokens, positions, adapters.

They apply where neither torch's classes nor another rule say a role, and may fit nothing.

:meta hide-value:
"""


def checked(rules: Rules | str | None) -> Rules:
    """The rules, if each says a role.

    Args:
        rules: as in ``roles``.

    Returns:
        Role by key; none for None.

    Raises:
        ValueError: if they are no dictionary, or a key or a role is none.
    """
    if rules == "common":
        return COMMON_RULES
    if not isinstance(rules, Mapping | None):
        todo = 'give a dictionary such as {"*RMSNorm": "gamma"}, or "common"'
        raise ValueError(f"rules is {rules!r}; {todo}")
    if odd := [key for key in rules or {} if not isinstance(key, Key)]:
        raise ValueError(f"rules: {odd} must be classes, or text that fits classes or names")
    for role in (rules or {}).values():
        if role not in ROLES:
            known = ", ".join(ROLES)
            raise ValueError(f"rules: {role!r} is not a role; choose among {known}")
    return rules or {}


def fits_name(key: Key, name: str) -> bool:
    """Whether a glob fits a parameter's name.

    Args:
        key: of a rule; brackets in a reader's stand for themselves, as names may have some.
        name: in full.

    Returns:
        True or False.
    """
    glob = key if isinstance(key, Common) else str(key).replace("[", "[[]")
    return not isinstance(key, _CommonClass) and fnmatchcase(name, glob)


def fits_class(key: Key, cls: type) -> bool:
    """Whether a rule is for a class.

    Args:
        key: of a rule: the class, a glob of its name, or its full name.
        cls: the class.

    Returns:
        True or False.
    """
    if isinstance(key, type):
        return key is cls
    by_name = fnmatchcase(cls.__name__, key) or key == full_name(cls)
    return by_name and not isinstance(key, _CommonName)


def full_name(cls: type) -> str:
    """A class with its module, as in "torch.nn.modules.linear.Linear"."""
    return f"{cls.__module__}.{cls.__qualname__}"
