"""The operators of a file that XNNPACK's delegate takes, and their arithmetic on a core with fp16.

    the file      CONV_2D   ADD    CUMSUM    SQUARE   SUM    ADD
    taken         |---- 0 ----|            |-------- 1 --------|    partitions; XNNPACK has no CUMSUM
    computed in   fp16      fp16   fp32      widened  ...    ...    no half kernel for sums of squares

A partition is computed in fp16 if the file bears the fp16 mark and every operator of the partition works on
floats. Values are rounded to fp16 where they enter it, and widened where they leave it. An operator without a
half kernel is computed in float32 there, from fp16 values, and so are all that depend on it in the partition.

Source: tflite/delegates/xnnpack and PartitionGraphIntoIndependentNodeSubsets of TensorFlow Lite;
subgraph.c and subgraph/rewrites/cvt_to_fp32.cc of XNNPACK. The behaviour of LiteRT 2.3.0 was observed on the
emulated core (docs/half.md).
"""

from __future__ import annotations

from collections import Counter

from exporters.tflite.reference.program import Program, Step

_TAKEN = frozenset(
    (
        "ABS",
        "ADD",
        "AVERAGE_POOL_2D",
        "BATCH_MATMUL",
        "CEIL",
        "CONCATENATION",
        "CONV_2D",
        "COS",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "DEQUANTIZE",
        "DIV",
        "ELU",
        "EXP",
        "FLOOR",
        "FULLY_CONNECTED",
        "GELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOG",
        "LOGISTIC",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MUL",
        "NEG",
        "PAD",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "ROUND",
        "RSQRT",
        "SIN",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SQRT",
        "SQUARE",
        "SQUARED_DIFFERENCE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
    )
)

FP16, FP32, WIDENED = "fp16", "fp32", "widened"
"""WIDENED is float32 inside a partition that is computed in fp16."""


def delegate_pieces(program: Program) -> tuple[int | None, ...]:
    """For each step the number of its partition, or None if the runtime's own kernel computes it."""
    taken = [not why_outside(program, step) for step in program.steps]
    found: list[int | None] = [None] * len(taken)
    waiting = list(range(len(taken)))
    made = {*program.inputs.values()}
    made |= {index for index in range(len(program.tensors)) if program.constant(index)}
    piece = -1
    while waiting:
        kind: bool | None = None
        grew = True
        while grew:
            grew = False
            for number in list(waiting):
                step = program.steps[number]
                if any(index >= 0 and index not in made for index in step.inputs):
                    continue
                if kind is None:
                    kind = taken[number]
                    piece += kind
                if taken[number] is kind:
                    found[number] = piece if kind else None
                    made.update(step.outputs)
                    waiting.remove(number)
                    grew = True
        if kind is None:  # a step reads a value that no step makes: the file is damaged, and executing fails
            break
    return tuple(found)


def arithmetics(program: Program) -> tuple[str, ...]:
    """The arithmetic of each step: `FP16`, `FP32` or `WIDENED`."""
    where = delegate_pieces(program)
    half = {piece for piece in where if piece is not None} if program.marked else set()
    for step, piece in zip(program.steps, where, strict=True):
        if not any(_is_float(program, index) for index in (*step.inputs, *step.outputs)):
            half.discard(piece)
    squares = _summed_squares(program)
    widened: dict[int, int | None] = {}  # values that are WIDENED, and their partition
    found = []
    for number, (step, piece) in enumerate(zip(program.steps, where, strict=True)):
        if piece not in half:
            found.append(FP32)
        elif number in squares or any(widened.get(index, -1) == piece for index in step.inputs):
            widened |= dict.fromkeys(step.outputs, piece)
            found.append(WIDENED)
        else:
            found.append(FP16)
    return tuple(found)


def lost_constants(program: Program) -> tuple[str, ...]:
    """The names of outputs of a SUM and then a MUL or DIV by one number, in fp16: their values are undefined.

    XNNPACK widens such a sum to float32, and reads the number from memory that it has just allocated
    (`widen_fp16_accumulators` of subgraph.c). On the emulated core the product was 0, or the sum itself.
    """
    made_by = {index: number for number, step in enumerate(program.steps) for index in step.outputs}
    reads = Counter(index for step in program.steps for index in step.inputs)
    reads.update(program.outputs.values())
    where, computed = delegate_pieces(program), arithmetics(program)
    found = []
    for number, step in enumerate(program.steps):
        if step.kind not in ("MUL", "DIV") or computed[number] == FP32:
            continue
        for value, factor in (step.inputs, step.inputs[::-1]):
            source, constant = made_by.get(value), program.tensors[factor].constant
            if source is None or constant is None or constant.size != 1:
                continue
            summed = program.steps[source].kind == "SUM" and where[source] == where[number]
            if summed and reads[value] == reads[factor] == 1:
                found.append(program.tensors[step.outputs[0]].name)
    return tuple(found)


def _summed_squares(program: Program) -> frozenset[int]:
    """The steps of x * x and then SUM or MEAN, which XNNPACK fuses into one without a half kernel.

    A square with another reader is computed in fp16 for that reader, and is not among the steps.
    """
    made_by = {index: number for number, step in enumerate(program.steps) for index in step.outputs}
    reads = Counter(index for step in program.steps for index in step.inputs)
    reads.update(program.outputs.values())
    found: set[int] = set()
    for number, step in enumerate(program.steps):
        source = made_by.get(step.inputs[0]) if step.kind in ("SUM", "MEAN") else None
        if source is not None and _squares(program.steps[source]):
            found.add(number)
            if reads[step.inputs[0]] == 1:
                found.add(source)
    return frozenset(found)


def _squares(step: Step) -> bool:
    return step.kind == "SQUARE" or (step.kind == "MUL" and step.inputs[0] == step.inputs[1])


def why_outside(program: Program, step: Step) -> str:
    """The reason why the delegate does not take an operator in float; empty if it takes it."""
    if step.kind == "CAST" and step.inputs[0] in program.inputs.values():
        return "XNNPACK's delegate takes no CAST: the runtime itself converts the input to floats first"
    if step.kind not in _TAKEN:
        return f"XNNPACK's delegate takes no {step.kind}"
    tensors = [program.tensors[index] for index in (*step.inputs, *step.outputs) if index >= 0]
    if tensors[-1].dtype not in ("float32", "float16"):
        return "" if tensors[-1].quantized else f"XNNPACK's delegate takes no {tensors[-1].dtype} tensors"
    if step.kind == "SOFTMAX" and step.options.beta != 1.0:
        return f"XNNPACK's delegate takes no SOFTMAX with a factor (beta {step.options.beta:g})"
    if step.kind == "STRIDED_SLICE":
        strides = program.tensors[step.inputs[3]].constant
        if strides is None or not (strides == 1).all():
            return "XNNPACK's delegate takes no STRIDED_SLICE with steps"
    return ""


def _is_float(program: Program, index: int) -> bool:
    return index >= 0 and program.tensors[index].dtype == "float32"
