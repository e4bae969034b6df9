"""Make the small artifacts beside this file: `python make_models.py`, with torch, litert-torch and onnx.

    tiny.tflite, tiny.onnx   a convolution, hard-swish, a depthwise and a pointwise convolution, a classifier
    split.tflite             two convolutions and, between them, a cumulative sum, which XNNPACK leaves out
    tiny_int8.tflite         tiny.tflite in static int8: its hard-swish stays outside XNNPACK

The golden outputs are those of the torch module, so tests against them are tests of the whole way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, golden_path, write_golden
from mocovit_deploy.artifacts.manifest import write_manifest
from mocovit_deploy.files import digest
from mocovit_deploy.spec import Preprocessing, TensorSpec

HERE = Path(__file__).parent
SIZE = 16
SAMPLES = 2


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.stem(image))
        x = self.pointwise(torch.relu(self.depthwise(x)))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cumsum(torch.relu(self.first(image)), dim=2)
        x = torch.relu(self.second(x))
        return self.head(x.mean((2, 3))), x


def save(
    path: Path, recipe: str, layout: str, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> None:
    names = tuple(f"noise {n}" for n in range(SAMPLES))
    write_golden(path, Golden(names, inputs, outputs))
    write_manifest(
        Artifact(
            path=path,
            format=path.suffix[1:],
            recipe=recipe,
            model=path.stem,
            weights="random, seed 0",
            inputs=tuple(TensorSpec(n, a.shape[1:], a.dtype.name, layout) for n, a in inputs.items()),
            outputs=tuple(TensorSpec(n, a.shape[1:], a.dtype.name) for n, a in outputs.items()),
            preprocessing=Preprocessing(),
            sha256=digest(path),
            golden_sha256=digest(golden_path(path)),
        )
    )


def main() -> None:
    import litert_torch
    import onnx
    from ai_edge_quantizer import quantizer, recipe

    torch.manual_seed(0)
    tiny, split = Tiny().eval(), Split().eval()
    images = torch.randn(SAMPLES, 1, 3, SIZE, SIZE)
    nhwc = images.permute(0, 1, 3, 4, 2).contiguous()
    with torch.no_grad():
        logits = np.stack([tiny(image).numpy() for image in images])
        pairs = [split(image) for image in images]

    for name, network in (("tiny", tiny), ("split", split)):
        wrapped = litert_torch.to_channel_last_io(network, args=[0]).eval()
        litert_torch.convert(wrapped, (nhwc[0],)).export(str(HERE / f"{name}.tflite"))
    save(HERE / "tiny.tflite", "fp32", "nhwc", {"args_0": nhwc.numpy()}, {"output_0": logits})
    both = {f"output_{k}": np.stack([pair[k].numpy() for pair in pairs]) for k in (0, 1)}
    save(HERE / "split.tflite", "fp32", "nhwc", {"args_0": nhwc.numpy()}, both)

    path = HERE / "tiny.onnx"
    torch.onnx.export(
        tiny,
        (images[0],),
        str(path),
        dynamo=True,
        external_data=False,
        input_names=["image"],
        output_names=["logits"],
    )
    model = onnx.load(str(path))
    for node in model.graph.node:  # stack traces hold the paths of the machine that exported
        for entry in [e for e in node.metadata_props if e.key != "pkg.torch.onnx.name_scopes"]:
            node.metadata_props.remove(entry)
    onnx.save(model, str(path))
    save(path, "fp32", "nchw", {"image": images.numpy()}, {"logits": logits})

    quantizing = quantizer.Quantizer(str(HERE / "tiny.tflite"), recipe.static_wi8_ai8())
    calibrated = quantizing.calibrate({"serving_default": [{"args_0": image.numpy()} for image in nhwc]})
    quantizing.quantize(calibrated).export_model(str(HERE / "tiny_int8.tflite"), overwrite=True)
    save(HERE / "tiny_int8.tflite", "static_wi8_ai8", "nhwc", {"args_0": nhwc.numpy()}, {"output_0": logits})


if __name__ == "__main__":
    main()
