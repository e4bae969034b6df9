"""Part 1: networks nobody chose go through the real command, and every file and every refusal is judged.

What must hold, whatever the network:

    command      it ends by itself with a documented status; no traceback, no internal error
    refusal      it is one line that names its reason and the module (or the input, or the output)
    golden file  its outputs are those of the network as the trial builds it
    passed       the file is right: within the tolerance of float64 on inputs it has never seen
    rejected     the file is really wrong, on its golden inputs or on others
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from campaign import families
from campaign.process import Done, answer, command, forked
from campaign.rows import Row

ALLOWED = (0, 2, 3, 4, 8)
"""Exit statuses of an export (docs/cli.md)."""
DEADLINE_S = 600.0
FORMATS = ("onnx", "coreml", "tflite")
HALF = "fp16 arithmetic in"
"""What a verdict says that rests on half precision."""


@dataclass(frozen=True)
class Case:
    """One network: the words that name it, and how the trial builds it itself."""

    key: str
    words: tuple[str, ...]
    kind: str
    """"timm", or the function of `campaign.grammar` that gives it."""
    name: str
    size: int = 0
    precision: str = "fp32"
    keep: str = ""

    def without(self, piece: int, length: int) -> Case:
        """The same network without one of its pieces."""
        pieces = [int(one) for one in self.keep.split(",")] if self.keep else list(range(length))
        return of_grammar(
            self.key, int(self.name), self.kind, self.precision, [p for p in pieces if p != piece]
        )


def cases(seed: int, networks: int, members: int) -> Iterator[Case]:
    """`networks` random modules, with `members` small networks of every family of timm in between."""
    yield from (_random(seed + number) for number in range(networks))
    for family in families.families() if members else ():
        for number, member in enumerate(families.members(family, seed, members)):
            words = ("--model", f"timm/{member.name}", "--image-size", str(member.size))
            precision = "fp16" if number == 0 and Random(family).random() < 0.25 else "fp32"
            yield Case(f"timm-{member.name}", words, "timm", member.name, member.size, precision)


def _random(seed: int) -> Case:
    draw = Random(f"case {seed}")
    kind = draw.choices(("network", "traced", "bfloat16", "program"), (22, 1, 1, 1))[0]
    precision = "fp16" if draw.random() < 0.2 else "fp32"
    return of_grammar(f"{kind}-{seed}", seed, kind, precision, None)


def of_grammar(key: str, seed: int, kind: str, precision: str, keep: Sequence[int] | None) -> Case:
    """The random module of a seed, with all its pieces or those in `keep`."""
    kept = "" if keep is None else ",".join(map(str, keep)) or "99"
    arguments = ["--model-arg", f"seed={seed}"] + (["--model-arg", f"keep={kept}"] if kept else [])
    words = (
        ["--model", "network.pt2"]
        if kind == "program"
        else ["--model", f"campaign.grammar:{kind}", *arguments]
    )
    return Case(key, tuple(words), kind, str(seed), precision=precision, keep=kept)


def tried(case: Case, folder: Path, formats: Sequence[str] = FORMATS) -> Row:
    """Export a network and judge everything that came of it; the row says what does not hold."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if case.kind == "program":
        from campaign.grammar import save_program

        done = forked(lambda: save_program("network.pt2", case.name, case.keep) or 0, folder, DEADLINE_S)
        if done.status:
            return {
                "words": case.words,
                "left_out": "torch.export.save cannot write it",
                "files": [],
                "wrong": [],
            }
    words = [*case.words, "--format", ",".join(formats), "--precision", case.precision, "--json"]
    done = forked(command("mocovit-export", [*words, "--output-dir", "out"]), folder, DEADLINE_S)
    wrong = _command_wrong(done)
    document = _document(done.stdout)
    question = Question(case, folder / "out", tuple(formats), document, _error_line(done))
    found, judging = answer(question, folder, DEADLINE_S)
    if found is None:
        found = {"files": [], "wrong": [f"judge: {_last(judging.stderr)}"], "pieces": 0}
    return {
        "words": [*words],
        "precision": case.precision,
        "status": done.status,
        "line": _error_line(done),
        "seconds": round(done.seconds, 1),
        **found,
        "wrong": [*wrong, *found["wrong"]],
    }


def reduced(case: Case, row: Row, folder: Path) -> Row:
    """The smallest network, of this one's pieces, with which the first thing that is wrong still is."""
    first = _signature(row["wrong"][0])
    formats = [one for one in FORMATS if one in first] or list(FORMATS)
    best, pieces = case, list(range(row.get("pieces", 0)))
    if case.kind == "timm":
        return row
    for piece in list(pieces):
        smaller = best.without(piece, len(pieces))
        again = tried(smaller, folder, formats)
        if any(_signature(one) == first for one in again["wrong"]):
            best, row = smaller, {**row, "reduced": again["words"], "reduced_wrong": again["wrong"]}
    return row


def _signature(text: str) -> str:
    """What is wrong, without numbers and names."""
    return re.sub(r"[\d.]+(e-?\d+)?|'[^']*'", "#", text)[:60]


@dataclass(frozen=True)
class Question:
    """Judge what lies in `folder`, in a fork: files that passed, files in rejected/, and refusals."""

    case: Case
    folder: Path
    formats: tuple[str, ...]
    document: dict[str, Any]
    line: str

    def __call__(self) -> dict[str, Any]:
        from campaign.subject import Subject

        subject = Subject.of(self.case)
        wrong: list[str] = []
        files = []
        listed = {one["format"]: one for one in self.document.get("files", [])}
        for name in self.formats:
            entry = listed.get(name)
            verdict = entry["parity"]["verdict"] if entry else "refused"
            if entry and entry["error"] and not entry["path"]:
                verdict = "refused"
            why = (entry and (entry["error"] or entry["parity"]["reason"])) or self.line
            one: dict[str, Any] = {"format": name, "verdict": verdict, "why": why}
            if verdict == "refused":
                wrong += [f"{name}: {text}" for text in refusal_wrong(why, subject.names)]
            else:
                try:
                    one |= subject.judged(self._path(entry["path"]))
                except Exception as error:  # noqa: BLE001 - a runtime's word on a file
                    one["judge"] = f"{type(error).__name__}: {error}"[:300]
                wrong += [f"{name}: {text}" for text in file_wrong(one, self.case.precision)]
            files.append(one)
        return {"files": files, "wrong": list(dict.fromkeys(wrong)), "pieces": subject.pieces}

    def _path(self, told: str) -> Path:
        path = Path(told)
        return path if path.is_absolute() else self.folder.parent / path


def file_wrong(one: dict[str, Any], precision: str) -> list[str]:
    """What does not hold of a judged file."""
    from campaign.judge import SLACK, Judgement

    if "judge" in one:
        return [f"passed and does not run: {one['judge']}"] if one["verdict"] == "pass" else []
    if not one["golden"] <= 1e-5:
        return [f"golden: its golden outputs are {one['golden']:.1e} of their range from the network's"]
    fresh, golden = ([Judgement(**each) for each in one[side]] for side in ("fresh", "on_golden"))
    if one["verdict"] == "pass":
        return [
            f"passed and is wrong: {each.output} is off by {each.error:.1e} (torch {each.torch_error:.1e})"
            for each in fresh
            if not each.error <= SLACK * each.bound(precision, one["format"])
        ]
    # The trial's own sessions compute in fp32, so of what half precision gives they know nothing.
    within = all(each.error <= each.bound(precision, one["format"]) for each in (*fresh, *golden))
    if one["verdict"] == "fail" and within and HALF not in one["why"]:
        worst = max(golden, key=lambda each: each.error)
        return [f"rejected and is right: {worst.error:.1e} (torch {worst.torch_error:.1e}): {one['why']}"]
    return []


def refusal_wrong(text: str, names: Sequence[str]) -> list[str]:
    """What does not hold of a refusal: one line that names a reason, and a module, an input or an output."""
    if "\n" in text.strip():
        return [f"refusal of several lines: {text!r}"[:300]]
    if not text.strip():
        return ["refused without a word"]
    if any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", text) for name in names if name):
        return []
    return [f"refusal names no module: {text}"[:300]]


def _command_wrong(done: Done) -> list[str]:
    wrong = []
    if not done.in_time:
        wrong.append(f"command: did not end within {DEADLINE_S:.0f} s")
    elif done.status not in ALLOWED:
        wrong.append(f"command: status {done.status}: {_last(done.stderr)}")
    if "Traceback" in done.stderr:
        wrong.append(f"command: traceback: {_last(done.stderr)}")
    elif found := re.search(r".*internal error.*", done.stderr + done.stdout):
        wrong.append(f"command: {found.group()[:300]}")
    return wrong


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error_line(done: Done) -> str:
    lines = [one for one in done.stderr.splitlines() if one.startswith("mocovit-export: ")]
    return lines[-1].removeprefix("mocovit-export: ") if lines else ""


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:300]
