"""The Python interface: export a live module, check a file, measure it.

    done = mocovit_deploy.export(network, torch.zeros(1, 3, 224, 224), formats=("tflite",))
    done.require_pass()
    for file in done.files: print(file.path, file.verdict, file.max_error)

Nothing is printed; errors are those of `mocovit_deploy.errors`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import LIVE
from mocovit_deploy.choices import FORMATS, HOST
from mocovit_deploy.errors import DeployError, ParityError, UsageError, first_line
from mocovit_deploy.files import file_name
from mocovit_deploy.kinds import require_kinds
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.verdict import ParityReport, judge_outputs
from mocovit_deploy.spec import ASSUMED, ExportRequest, ModelSpec, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mocovit_deploy.accuracy.breakdown import Breakdown
    from mocovit_deploy.exporting.context import Outcome
    from mocovit_deploy.targets import InferenceTimes, InstructionCount


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """One file of an export, or why there is none."""

    format: str
    precision: str
    path: Path | None
    """None if nothing was written. A file that failed its check lies in the folder `rejected`."""
    report: ParityReport
    notes: tuple[str, ...]
    error: DeployError | None
    accuracy: Breakdown | None = None
    """The file's accuracy beside the module's, on the images of the option `accuracy`; None without
    images."""
    app_code: tuple[Path, ...] = ()
    """What the option `app_code` wrote beside the file: code that loads it, and its labels."""

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "not run"."""
        return str(self.report.verdict)

    @property
    def max_error(self) -> float | None:
        """Largest error of all outputs, as a fraction of the output's range; None if nothing was compared."""
        return max((one.max_error for one in self.report.outputs if one.finite), default=None)

    def __repr__(self) -> str:
        error = "" if self.max_error is None else f", max error {self.max_error:.1e} of range"
        return f"<{self.path or f'no {self.format} {self.precision} file'}: {self.verdict}{error}>"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A file that passed on a target, with its times or its count there."""

    target: str
    report: ParityReport
    """The check on the target."""
    times: InferenceTimes | None = None
    """None on a target that counts."""
    count: InstructionCount | None = None
    """None on a target that takes times."""

    @property
    def median_ms(self) -> float | None:
        """The median time of one inference; None on a target that counts."""
        return None if self.times is None else median(self.times.samples_ms)

    def __repr__(self) -> str:
        if self.count is not None:
            return f"<{self.count.instructions:,} instructions, {self.count.runtime} on {self.target}>"
        assert self.times is not None
        taken = f"{self.median_ms:.3g} ms, median of {len(self.times.samples_ms)}"
        return f"<{taken}, {self.times.runtime} on {self.target}>"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Everything one call of `export` wrote."""

    files: tuple[ExportedFile, ...]
    passes: Mapping[str, int]
    """How many changes each pass made, by its name."""
    refusals: tuple[str, ...]
    """What the passes left unchanged, each as "module: reason"."""
    remark: str = ""
    """How the network in the files differs from the module (float32 instead of bfloat16); else empty."""

    @property
    def passed(self) -> bool:
        """True if every file was written and passed its check."""
        return all(file.error is None and file.verdict == PASS for file in self.files)

    def require_pass(self) -> Export:
        """Return the export itself. Raises the first file's error if not every file passed."""
        for file in self.files:
            if file.error is not None:
                raise file.error
            if file.verdict != PASS:
                raise ParityError(f"{file.path}: parity {file.verdict}: {file.report.reason}")
        return self

    def __repr__(self) -> str:
        return f"<Export of {len(self.files)}: {', '.join(map(repr, self.files))}>"


def export(
    module: nn.Module,
    example: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    *,
    formats: Sequence[str] = FORMATS,
    precisions: Sequence[str] = ("fp32",),
    output_dir: str | os.PathLike[str] = "build",
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    normalize: bool = False,
    labels: Sequence[str] = (),
    seed: int = 0,
    **options: Any,
) -> Export:
    """Export a live module to every format and precision, and check each file against it.

    `example` holds the inputs of one run: a tensor, tensors in the order of forward's parameters, or tensors
    by the parameters' names. If it is one image of 1 or 3 channels, (N, C, H, W), files are checked on
    photographs that are prepared by `preprocessing` (None: ImageNet's values, recorded as assumed). Other
    inputs are checked on variations of the example. With `normalize` the files do the preprocessing
    themselves, and take pixels 0 to 255 in RGB. `name` is the stem of the files' names (None: the module's
    class). `options` are further fields of `mocovit_deploy.spec.ExportRequest`, as in `layout="nchw"`,
    `app_code=True`, or `accuracy=AccuracyRequest("held_out/", max_drop=0.5)`. The module is copied and not
    changed.

    Returns every file, failed ones too: see `Export.passed` and `Export.require_pass`.

    Raises `UsageError` for options that do not exist, do not fit, or have another type than declared,
    `ConversionError` for a module that cannot be captured, `MissingToolError` without torch.
    """
    from mocovit_deploy.extras import import_torch

    import_torch()
    from mocovit_deploy.exporting.pipeline import export_model
    from mocovit_deploy.models.load import live_network
    from mocovit_deploy.terminal.progress import Stages
    from mocovit_deploy.terminal.quiet import quiet

    how = ASSUMED if preprocessing is None else preprocessing
    spec = ModelSpec(f"{LIVE}{_file_name(module, name)}", seed=seed, normalize=normalize)
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }
    try:
        request = ExportRequest(
            spec,
            formats=_several("formats", formats),
            precisions=_several("precisions", precisions),
            output_dir=Path(output_dir),
            labels=_several("labels", labels),
            **given,
        )
    except TypeError as error:
        text = first_line(error)
        raise UsageError(f"export: {text.partition('__init__() ')[2] or text}") from None
    request = require_kinds(request)
    if not isinstance(how, Preprocessing):
        raise UsageError(f"preprocessing={how!r:.60}: expected mocovit_deploy.spec.Preprocessing")
    how = require_kinds(how, "preprocessing")
    with quiet():
        network = live_network(module, example, spec, how)
        done = export_model(request, Stages(), network)
    proofs = {proof.name: len(proof.changes) for proof in done.passes.proofs}
    refusals = tuple(f"{one.where}: {one.why}" for one in done.passes.refusals)
    return Export(
        files=tuple(map(_file, done.outcomes)), passes=proofs, refusals=refusals, remark=network.remark
    )


def _several(name: str, given: Sequence[str]) -> tuple[str, ...]:
    """A sequence as a tuple. Raises `UsageError` for a string, which would be a sequence of letters."""
    if isinstance(given, str):
        raise UsageError(f"{name}={given!r:.60}: give a sequence of names, as in {name}=({given!r:.60},)")
    return tuple(given)


def _file_name(module: object, name: str | None) -> str:
    """The name for the files: `name`, or that of the module's class.

    Raises `UsageError` for a name with characters that the name of a file or an app's code cannot have.
    """
    if name is None:
        return file_name(type(module).__name__)
    if not isinstance(name, str) or not name or file_name(name) != name:
        raise UsageError(f"name={name!r:.60}: use only letters, digits, '_', '-' and '.', for names of files")
    return name


def check(path: str | os.PathLike[str]) -> ParityReport:
    """Check an exported file against its golden file, in the runtime installed here. Needs no torch.

    Returns the report, also for a file that fails. Raises `UsageError` for a file without manifest or golden
    file, `ParityError` if the file crashes the runtime, `MissingToolError` without the runtime.
    """
    from mocovit_deploy.parity.sandboxed import check_here

    return check_here(Path(path), verbose=False, deadline_s=None).report


def measure(
    path: str | os.PathLike[str], *, target: str = HOST, runtime: str | None = None, deadline_s: float = 600.0
) -> Measurement:
    """Check an exported file on `target`, then take its times (ms) or count its instructions there.

    `runtime` None stands for the first that reads the file's format. Raises `ParityError` unless the outputs
    pass on the target, `UsageError` for an unknown target or a file without manifest or golden file,
    `MissingToolError` if a tool of the target is not installed, `DeviceError` for a phone that cannot be
    measured on.
    """
    from mocovit_deploy.targets import RunConditions, load_target

    where, artifact = load_target(target), read_manifest(Path(path))
    golden, conditions = read_golden(artifact), RunConditions(runtime=runtime, deadline_s=deadline_s)
    ran = where.run_golden(artifact, golden, conditions)
    report = judge_outputs(artifact, golden, ran.outputs, ran.runtime, ran.arithmetic)
    if report.verdict != PASS:
        raise ParityError(
            f"{path}: parity {report.verdict} on {target}: {report.reason}; nothing was measured"
        )
    if where.COUNTS:
        return Measurement(target=target, report=report, count=where.count(artifact, golden, conditions))
    return Measurement(target=target, report=report, times=where.take_times(artifact, golden, conditions))


def _file(outcome: Outcome) -> ExportedFile:
    return ExportedFile(
        format=outcome.format,
        precision=outcome.recipe,
        path=None if outcome.artifact is None else outcome.artifact.path,
        report=outcome.report,
        notes=outcome.notes,
        error=outcome.error,
        accuracy=outcome.accuracy,
        app_code=outcome.app_code,
    )
