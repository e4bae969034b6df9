"""Core ML's classifier head: class labels in the file, which Vision and Xcode's preview show.

    before   image - network - logits
    after    image - network - logits                                          unchanged, for parity
                                   \\- softmax - classify - classLabel          the best class's label
                                                         \\- classLabel_probs   label: probability

coremltools' `ClassifierConfig` would take the place of the logits, and parity could not be checked. So
coremltools writes the head as a separate program, and `add_labels` appends it to the network in the saved
file (docs/decisions/0012-core-ml-labels-beside-the-logits.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.coreml.metadata import SPECIFICATION
from exporters.coreml.toolchain import quiet_coremltools
from mocovit_deploy.files import write_atomically
from mocovit_deploy.ship.metadata import classifier_output
from mocovit_deploy.spec import TensorSpec

LABEL, PROBABILITIES = "classLabel", "classLabel_probs"
"""The outputs of the head, as coremltools calls them."""
INPUT = "scores"
"""The input of the head while it is a separate program."""
HEAD = "classify"
"""The operation that makes `LABEL` and `PROBABILITIES`, the only one whose results are not tensors."""


def labelled_output(labels: Sequence[str], outputs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The output whose classes `labels` name: float32, of shape (1, labels). None if there is none.

    None too if two classes have the same label: `PROBABILITIES` is a dictionary by label, and would keep one.
    """
    found = classifier_output(outputs) if labels and not _twice(labels) else None
    if found is None or found.shape != (1, len(labels)) or found.name in (LABEL, PROBABILITIES):
        return None
    return found if found.dtype == "float32" else None


def unlabelled_note(labels: Sequence[str], outputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """A note on why a classifier has its labels in the metadata only. Empty for any other file."""
    if not labels or classifier_output(outputs) is None or labelled_output(labels, outputs) is not None:
        return ()
    twice = _twice(labels)
    why = f"{twice!r} is the label of several classes" if twice else "it needs float32 scores of one image"
    return (f"Vision will not take the file as a classifier: {why}; the labels are in the metadata",)


def _twice(labels: Sequence[str]) -> str:
    """The most frequent label, if several classes have it, else an empty string."""
    label, count = Counter(labels).most_common(1)[0]
    return label if count > 1 else ""


def add_labels(ct: Any, package: Path, labels: Sequence[str], output: TensorSpec, target: Any) -> None:
    """Append the head to `output` of the saved `package`. Nothing else in the file changes."""
    file = package / SPECIFICATION
    with quiet_coremltools():
        head = _head(ct, labels, output, target)
        specification = ct.proto.Model_pb2.Model.FromString(file.read_bytes())
    block, added = _main(specification), _main(head)
    for argument in [a for step in added.operations for b in step.inputs.values() for a in b.arguments]:
        if argument.name == INPUT:
            argument.name = output.name
    block.operations.extend(added.operations)
    block.outputs.extend(added.outputs)
    description, added_description = specification.description, head.description
    description.output.extend(added_description.output)
    description.predictedFeatureName = added_description.predictedFeatureName
    description.predictedProbabilitiesName = added_description.predictedProbabilitiesName
    write_atomically(file, specification.SerializeToString(deterministic=True))


def _head(ct: Any, labels: Sequence[str], output: TensorSpec, target: Any) -> Any:
    """The specification of softmax and classify, behind an input called `INPUT`."""
    from coremltools.converters.mil import Builder

    @Builder.program(  # type: ignore[untyped-decorator]
        input_specs=[Builder.TensorSpec(shape=output.shape)], opset_version=target
    )
    def head(scores: Any) -> Any:
        return Builder.softmax(x=scores, axis=-1, name=f"{LABEL}_softmax")

    return ct.convert(
        head,
        convert_to="mlprogram",
        skip_model_load=True,
        classifier_config=ct.ClassifierConfig(list(labels), predicted_feature_name=LABEL),
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=target,
    ).get_spec()


def without_head(specification: Any) -> None:
    """Take the operation that makes labels, and its outputs, out of a program that is to be read.

    Labels are no tensors. And coremltools' reader makes a constant of them, which it names by a count of its
    own: that name may be one of the file's.
    """
    for function in specification.mlProgram.functions.values():
        for block in function.block_specializations.values():
            made = {one.name for step in block.operations if step.type == HEAD for one in step.outputs}
            kept = [step for step in block.operations if step.type != HEAD]
            outputs = [name for name in block.outputs if name not in made]
            del block.operations[:], block.outputs[:]
            block.operations.extend(kept)
            block.outputs.extend(outputs)


def _main(specification: Any) -> Any:
    """The one block of a specification's one function."""
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    return block
