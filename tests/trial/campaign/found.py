"""What the trial found wrong, and is mended: each is kept as a test, as small as it could be made."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.networks import Case, of_grammar


@dataclass(frozen=True)
class Found:
    """A network, the formats that went wrong, and how."""

    what: str
    seed: int
    keep: tuple[int, ...] = ()
    """Of its pieces; none for all."""
    kind: str = "network"
    precision: str = "fp32"
    formats: tuple[str, ...] = ("onnx", "coreml", "tflite")

    @property
    def case(self) -> Case:
        return of_grammar(f"{self.kind}-{self.seed}", self.seed, self.kind, self.precision, self.keep or None)


FOUND = (
    Found(
        "litert-torch's converter crashed (SIGSEGV) and ended the export of every format",
        seed=54,
        keep=(2, 4, 5),
        precision="fp16",
        formats=("onnx", "tflite"),
    ),
    Found(
        "truth values were multiplied by MUL, which takes none: the file did not run",
        seed=30,
        keep=(7,),
        formats=("tflite",),
    ),
    Found(
        "a table was asked for row -1, to find out the arithmetic of an fp16 file: refused as not loadable",
        seed=58,
        precision="fp16",
        formats=("tflite",),
    ),
    Found(
        "a refusal named no module: operators that LiteRT, or the numpy reference of Core ML, does not have",
        seed=5,
        keep=(3,),
        precision="fp16",
        formats=("coreml", "tflite"),
    ),
    Found("a refusal named no module: prims::prod", seed=7, keep=(1,), formats=("coreml",)),
    Found("a refusal named no module: a tensor of six dimensions", seed=52, formats=("coreml",)),
    Found("a refusal named no module: a reshape that coremltools makes", seed=51, formats=("coreml",)),
    Found("circular padding was refused", seed=29, formats=("coreml",)),
    Found("the logarithm of a sigmoid was refused", seed=1, precision="fp16", formats=("coreml",)),
    Found(
        "the evaluator of ONNX in half precision gave MaxPool, rounded up, another shape: not run",
        seed=1,
        precision="fp16",
        formats=("onnx",),
    ),
    Found(
        "the numpy reference of TFLite took the empty shape of a scalar for a value: not run",
        seed=23,
        precision="fp16",
        formats=("tflite",),
    ),
    Found("a refusal named no module: a group norm of five dimensions", seed=72, formats=("coreml",)),
    Found("a transposed convolution was refused: its output padding", seed=78, formats=("coreml",)),
    Found("Celu was written in fp16, which ONNX does not have", seed=96, precision="fp16", formats=("onnx",)),
    Found("a program with private operators of ATen was refused", seed=103, kind="program"),
    Found("an assignment into a part of a tensor was refused", seed=108),
    Found("output padding in three dimensions was refused", seed=257, formats=("coreml",)),
    Found(
        "full_like was refused, which is a constant",
        seed=196,
        kind="traced",
        precision="fp16",
        formats=("tflite",),
    ),
    Found(
        "a refusal named no module: ONNX Runtime's, of a pooling behind a wide Pad",
        seed=227,
        formats=("onnx",),
    ),
    Found("the trial's own judge could not run bfloat16", seed=14, kind="bfloat16", formats=("onnx",)),
)

OF_TIMM = (
    (
        "a right file was rejected: torch's own rounding in a branch that the outputs hardly show",
        "efficientvit_m0",
        64,
        ("coreml",),
    ),
    ("an assignment ended with an internal error", "mvitv2_tiny", 64, ("onnx",)),
)
"""Networks of timm that went wrong: how, the name, the size, and the formats."""

SPOILT = (
    (
        "`--bisect` accused a healthy TFLite file: what turns an operand round had the layer's mark",
        5004,
        "tflite",
    ),
    ("`--bisect` named nothing: a defect acts on samples that it did not look at", 5253, "coreml"),
    ("`--bisect` named nothing: the outputs amplify what no layer shows alone", 5256, "onnx"),
)
"""Files with defects that went wrong: how, the seed of the network, and the format."""

ELSEWHERE = {
    "defects": (
        (
            "`--bisect` accused a healthy Core ML file: coremltools' names took the marks of torch's",
            "tests/exporters/coreml/test_coreml_write.py",
        ),
        (
            "`--bisect` accused a healthy TFLite file: tokens lay in an order that no shape tells",
            "tests/layers/test_order.py",
        ),
    ),
    "interruptions": (
        ("no folder took a temporary file, an internal error", "tests/cli/test_runner.py"),
        ("a closed reader of stderr ended an export that was right with 1", "tests/cli/test_runner.py"),
    ),
}
"""What was wrong in the other parts, and the test that holds it."""
