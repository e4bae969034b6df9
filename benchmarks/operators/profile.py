"""From the record of a runtime's profiler to operators, partitions and the arithmetic that ran.

The profilers of LiteRT and TFLite give events in the order of execution: one for each operator that the
runtime's own kernels execute, with its index in the file, and one for each operator inside XNNPACK, numbered
from 0 in every partition. XNNPACK's operators differ from the file's (it fuses, drops and inserts some), so
they are matched by kind and order. An operator without a match has no module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.operators.xnnpack import arithmetic_in, computes_in_half, match, why_outside
from benchmarks.reports.report import CountedOperator, TimedOperator
from mocovit_deploy.artifacts.operator import FileOperator
from mocovit_deploy.errors import DeployError
from mocovit_deploy.parity.tolerance import INT8_AND_HALF, MIXED
from mocovit_deploy.targets import OutsideDelegate, Partitions

_DELEGATED = ("profiled", "delegate")  # the kinds of events inside XNNPACK, in LiteRT and in TFLite


@dataclass(frozen=True)
class Executed:
    """One operator as a runtime executed it."""

    name: str
    """The runtime's name of it: "Convolution (NHWC, F32) IGEMM" in XNNPACK, "CUMSUM" in LiteRT."""
    where: str
    """The torch module; empty if it is not known."""
    partition: int | None
    """The number of the XNNPACK partition, from 0; None outside XNNPACK."""
    elapsed_us: tuple[float, ...]
    """One time for each profiled inference."""
    dtype: str = ""
    """The type of its first input (ONNX Runtime), or of the output of the file's operator; may be empty."""
    half_weights: bool = False
    operator: int | None = None
    """The index of the file's operator that it was made from; None if it is not known."""
    ticks: tuple[int, int] | None = None
    """The reads of the counting clock before and after it, in the first profiled inference."""


def read_profile(
    runtime: str, profile: Sequence[Any], operators: Sequence[FileOperator], *, ticking: bool = False
) -> tuple[Executed, ...]:
    """The operators that ran, in order, from the bench's "profile", which has one member per inference.

    `ticking` is true if times are ticks of the counting clock. Raises `DeployError` if the inferences ran
    different operators, or if the ticks do not fit the events.
    """
    if runtime == "onnxruntime":
        return _onnxruntime(profile, operators)
    runs = [[event for event in run if event["kind"] in ("operator", *_DELEGATED)] for run in profile]
    shapes = {tuple((event["name"], event["index"]) for event in run) for run in runs}
    if len(shapes) != 1:
        raise DeployError("the runtime executed different operators in different inferences; profile again")
    first = runs[0]
    pieces = _partitions(first)
    ticks = _ticks(profile[0], first, pieces) if ticking else [None] * len(first)
    outside = {event["index"] for event in first if event["kind"] == "operator"}
    inside = [operator for operator in operators if operator.index not in outside]
    delegated = [event["name"] for event in first if event["kind"] in _DELEGATED]
    matched = iter(match(delegated, inside))
    by_index = {operator.index: operator for operator in operators}
    found = []
    for n, event in enumerate(first):
        source = by_index.get(event["index"]) if event["kind"] == "operator" else next(matched)
        found.append(
            Executed(
                name=event["name"],
                where=source.where if source else "",
                partition=pieces[n],
                elapsed_us=tuple(float(run[n]["elapsed_us"]) for run in runs),
                dtype=source.dtype if source and pieces[n] is None else "",
                half_weights=bool(source and source.half_weights),
                operator=source.index if source else None,
                ticks=ticks[n],
            )
        )
    return tuple(found)


def _partitions(events: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """The partition of each event. XNNPACK numbers its operators from 0 in every partition."""
    pieces: list[int | None] = []
    current = -1
    last_index: int | None = None  # within the open partition; None if no partition is open
    for event in events:
        if event["kind"] == "operator":
            pieces.append(None)
            last_index = None
            continue
        if last_index is None or event["index"] <= last_index:
            current += 1
        last_index = event["index"]
        pieces.append(current)
    return pieces


def _ticks(
    everything: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], pieces: Sequence[int | None]
) -> list[tuple[int, int] | None]:
    """The reads of the clock before and after each operator.

    Each read is one tick, which the runtime takes for a microsecond. XNNPACK reads the clock once when it
    begins a partition, and then after each operator (several times for an operator of several parts, such as
    a concatenation). So the microseconds of an operator are its reads. LiteRT reads it before and after each
    operator of its own, and states the time. So all reads can be counted in order, and each stated time
    checks the count. The inference itself is the event "Invoke".
    """
    invoke = next(
        (event for event in everything if event["name"] == "Invoke" and event["start_us"] > 0), None
    )
    if invoke is None:
        raise DeployError("the profile does not say where the inference began; profile again")
    now = round(invoke["start_us"])
    end = now + round(invoke["elapsed_us"])
    found: list[tuple[int, int] | None] = []
    previous: int | None = None
    for event, piece in zip(events, pieces, strict=True):
        if piece is None:
            start, stop = now + 1, now + 2
            if (round(event["start_us"]), round(event["elapsed_us"])) != (start, 1):
                raise DeployError(
                    f"ticks do not fit the profile at {event['name']}: this runtime reads clocks differently"
                )
        else:
            start = now if piece == previous else now + 1
            stop = start + round(event["elapsed_us"])
        found.append((start, stop))
        previous, now = piece, stop
    if now + 1 != end:
        raise DeployError(f"ticks do not fit the profile: it ends at read {end}, {now + 1} was expected")
    return found


def _onnxruntime(profile: Sequence[Any], operators: Sequence[FileOperator]) -> tuple[Executed, ...]:
    """The operators in ONNX Runtime's one trace; its last inferences are those that were profiled."""
    trace = profile[-1]
    bounds = [
        (event["ts"], event["ts"] + event["dur"]) for event in trace if event.get("name") == "model_run"
    ]
    runs = [
        [
            e
            for e in trace
            if e.get("cat") == "Node" and e["name"].endswith("_kernel_time") and start <= e["ts"] < end
        ]
        for start, end in bounds[-len(profile) :]
    ]
    if not runs or len({tuple(event["name"] for event in run) for run in runs}) != 1:
        raise DeployError("ONNX Runtime's trace does not hold the profiled inferences; profile again")
    module_of = {name: op.where for op in operators for name in (op.name, op.output) if name}
    return tuple(
        Executed(
            name=event["args"]["op_name"],
            where=_onnx_where(event["name"].removesuffix("_kernel_time"), module_of),
            partition=None,
            elapsed_us=tuple(float(run[n]["dur"]) for run in runs),
            dtype=next(
                (kind for shape in event["args"].get("input_type_shape", [])[:1] for kind in shape), ""
            ),
        )
        for n, event in enumerate(runs[0])
    )


def _onnx_where(node: str, module_of: Mapping[str, str]) -> str:
    """The module of a node. A node that ONNX Runtime made from the file's bears the name of its output, with
    a suffix. A node that it added has no module, and is called by its own name."""
    return module_of.get(node) or module_of.get(node.removesuffix("_nchwc")) or node


def partitions(executed: Sequence[Executed], operators: Sequence[FileOperator]) -> Partitions:
    """The partitions of XNNPACK, and the operators outside them with the reasons."""
    outside_events = [op for op in executed if op.partition is None]
    outside = Counter(
        (op.name, why_outside(op.name, op.dtype, half_weights=op.half_weights)) for op in outside_events
    )
    return Partitions(
        delegate="XNNPACK",
        count=len({op.partition for op in executed} - {None}),
        operators_inside=len(operators) - len(outside_events),
        outside=tuple(
            OutsideDelegate(kind=kind, count=count, reason=reason)
            for (kind, reason), count in outside.most_common()
        ),
    )


def arithmetic(executed: Sequence[Executed]) -> str:
    """The arithmetic of the multiplying operators: "fp32", "fp16", "int8", or "unknown".

    int8 if most of them computed in int8. `MIXED` if some computed in fp16 and some in fp32, or if all
    computed in fp32 and operators of other kinds in fp16. `INT8_AND_HALF` if some computed in int8 and an
    operator of any kind in fp16.
    """
    found = Counter(kind for op in executed if (kind := arithmetic_in(op.name, op.dtype)))
    if not found:
        return "unknown"
    most = found.most_common(1)[0][0]
    half = any(computes_in_half(op.name, op.dtype) for op in executed)
    if found["int8"] and half:
        return INT8_AND_HALF
    return MIXED if most != "int8" and half and found["fp32"] else most


def timed(executed: Sequence[Executed]) -> tuple[TimedOperator, ...]:
    """Each operator with its mean time. LiteRT and XNNPACK report whole microseconds, rounded down."""
    return tuple(
        TimedOperator(
            index=n,
            kind=op.name,
            where=op.where,
            partition=op.partition,
            mean_ms=sum(op.elapsed_us) / len(op.elapsed_us) / 1e3,
        )
        for n, op in enumerate(executed)
    )


def counted(executed: Sequence[Executed], instructions_at: Mapping[int, int]) -> tuple[CountedOperator, ...]:
    """Each operator with its instructions, the difference of the counter between its two ticks.

    `instructions_at` maps ticks to the counter. Empty if the runtime does not report ticks of operators.
    Raises `DeployError` for a tick without a count.
    """
    found = []
    for n, op in enumerate(executed):
        if op.ticks is None:
            return ()
        missing = [tick for tick in op.ticks if tick not in instructions_at]
        if missing:
            raise DeployError(
                f"no count was noted at tick {missing[0]}; build the emulator again: mocovit-bench emulator"
            )
        spent = instructions_at[op.ticks[1]] - instructions_at[op.ticks[0]]
        found.append(
            CountedOperator(index=n, kind=op.name, where=op.where, partition=op.partition, instructions=spent)
        )
    return tuple(found)
