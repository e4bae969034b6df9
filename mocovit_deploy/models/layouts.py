"""Translate the names of tensors in official repositories to timm's names.

A layout is recognised by a key that timm's networks do not have. Its rules are substitutions that are applied
in order to every key. The result must fit the network exactly, or nothing is loaded.

GhostNet (huawei-noah/Efficient-AI-Backbones, ghostnet_pytorch) needs no layout: timm kept its names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class CheckpointLayout:
    """How one repository names the tensors of a family of networks."""

    name: str
    recognised_by: str
    """A regular expression that matches in a key of every file of this layout."""
    rules: tuple[tuple[str, Replacement], ...]
    """(regular expression, replacement), in the order in which they are applied."""

    def translate(self, key: str) -> str:
        """timm's name for `key`."""
        for pattern, replacement in self.rules:
            key = re.sub(pattern, replacement, key)
        return key


def _previous(template: str) -> Callable[[re.Match[str]], str]:
    """A replacement that fills `template` with the matched number minus one."""
    return lambda match: template.format(int(match[1]) - 1)


EFFICIENTVIT_HEAD: tuple[tuple[str, Replacement], ...] = (
    (r"^head\.op_list\.0\.", "head.in_conv."),
    (r"^head\.op_list\.2\.linear\.", "head.classifier.0."),
    (r"^head\.op_list\.2\.norm\.", "head.classifier.1."),
    (r"^head\.op_list\.3\.linear\.", "head.classifier.4."),
)

LAYOUTS = (
    # efficientvit/models/efficientvit/backbone.py: EfficientViTBackbone
    CheckpointLayout(
        "EfficientViT B (mit-han-lab/efficientvit)",
        r"^backbone\.input_stem\.op_list\.",
        (
            (r"^backbone\.input_stem\.op_list\.0\.", "stem.in_conv."),
            (r"^backbone\.input_stem\.op_list\.(\d+)\.", _previous("stem.res{}.")),
            (r"^backbone\.stages\.(\d+)\.op_list\.(\d+)\.", r"stages.\1.blocks.\2."),
            *EFFICIENTVIT_HEAD,
        ),
    ),
    # The same file: EfficientViTLargeBackbone, whose first stage is the stem.
    CheckpointLayout(
        "EfficientViT L (mit-han-lab/efficientvit)",
        r"^backbone\.stages\.0\.op_list\.0\.conv\.",
        (
            (r"^backbone\.stages\.0\.op_list\.0\.", "stem.in_conv."),
            (r"^backbone\.stages\.0\.op_list\.(\d+)\.", _previous("stem.res{}.")),
            (r"^backbone\.stages\.(\d+)\.op_list\.", _previous("stages.{}.blocks.")),
            *EFFICIENTVIT_HEAD,
        ),
    ),
    # cvnets/models/classification/mobilevit.py, cvnets/modules/{mobilenetv2,mobilevit_block,transformer}.py
    CheckpointLayout(
        "MobileViT (apple/ml-cvnets)",
        r"^layer_\d+\.\d+\.local_rep\.",
        (
            (r"\.block\.(exp_1x1|conv_3x3|red_1x1)\.", r".\1."),
            (r"\.block\.conv\.", ".conv."),
            (r"\.block\.norm\.", ".bn."),
            (r"^conv_1\.", "stem."),
            (r"^conv_1x1_exp\.", "final_conv."),
            (r"^classifier\.fc\.", "head.fc."),
            (r"^layer_(\d+)\.", _previous("stages.{}.")),
            (r"\.local_rep\.conv_3x3\.", ".conv_kxk."),
            (r"\.local_rep\.conv_1x1\.conv\.", ".conv_1x1."),
            (r"\.exp_1x1\.", ".conv1_1x1."),
            (r"\.conv_3x3\.", ".conv2_kxk."),
            (r"\.red_1x1\.", ".conv3_1x1."),
            (r"\.fusion\.", ".conv_fusion."),
            (r"\.global_rep\.\d+\.(weight|bias)$", r".norm.\1"),
            (r"\.global_rep\.", ".transformer."),
            (r"\.pre_norm_mha\.0\.", ".norm1."),
            (r"\.pre_norm_mha\.1\.qkv_proj\.", ".attn.qkv."),
            (r"\.pre_norm_mha\.1\.out_proj\.", ".attn.proj."),
            (r"\.pre_norm_ffn\.0\.", ".norm2."),
            (r"\.pre_norm_ffn\.1\.", ".mlp.fc1."),
            (r"\.pre_norm_ffn\.4\.", ".mlp.fc2."),
        ),
    ),
)


def layout_of(given: Iterable[str], wanted: Iterable[str]) -> CheckpointLayout | None:
    """The official layout of the `given` keys; None if there is none, or if `wanted` keys match it."""
    given, wanted = list(given), list(wanted)
    for layout in LAYOUTS:
        known = re.compile(layout.recognised_by)
        if any(map(known.search, given)) and not any(map(known.search, wanted)):
            return layout
    return None


def renamed(given: Mapping[str, Tensor], layout: CheckpointLayout) -> dict[str, Tensor]:
    """The tensors under timm's names. Tensors that would get the same name keep their own."""
    new = {key: layout.translate(key) for key in given}
    taken = list(new.values())
    return {key if taken.count(new[key]) > 1 else new[key]: value for key, value in given.items()}
