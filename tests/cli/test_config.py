"""--config: every option of mocovit-export, by its name; what does not fit is refused by file and key."""

import re
from pathlib import Path

import pytest

from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli.config import OF_THE_COMMAND, with_config
from mocovit_deploy.cli.parsers import export_parser
from mocovit_deploy.errors import UsageError

ROOT = Path(__file__).parents[2]


def parsed(folder, text, *words):
    path = folder / "deploy.toml"
    path.write_text(text)
    return export_parser().parse_args(with_config(export_parser(), ["--config", str(path), *words]))


SAMPLE = {
    "features": [8, 32],
    "dynamic": "batch",
    "colour_order": "bgr",
    "scale": 0.5,
    "mean": [0.1, 0.2],
    "std": 2,
    "max_drop": 1.5,
}
NUMBERS = (
    "num_classes",
    "image_size",
    "batch",
    "opset",
    "calibration_images",
    "judging_images",
    "images",
    "seed",
)


def sample(action):
    """A value that the option takes, as TOML."""
    if action.nargs == 0:
        return "true"
    if action.dest == "model_arg":
        return '{ heads = 2, name = "a b", flag = true }'
    value = SAMPLE.get(action.dest, 3 if action.dest in NUMBERS else "word")
    return repr(value).replace("'", '"')


@pytest.mark.parametrize(
    "action",
    [one for one in export_parser()._actions if one.dest not in OF_THE_COMMAND],
    ids=lambda action: action.dest,
)
def test_every_option_can_stand_in_a_file(action, tmp_path):
    given = parsed(tmp_path, f"{action.dest} = {sample(action)}\n")
    usual = export_parser().parse_args([])
    assert getattr(given, action.dest) != getattr(usual, action.dest)
    assert {n for n in vars(usual) if getattr(given, n) != getattr(usual, n)} == {action.dest}


def test_an_option_whose_value_may_be_left_out_takes_true(tmp_path):
    assert parsed(tmp_path, "features = true\n").features == (8, 16, 32)
    assert parsed(tmp_path, "features = false\n").features == ()
    assert parsed(tmp_path, "features = [8, 16]\n", "--no-features").features == ()


def test_the_command_line_wins(tmp_path):
    text = 'format = ["tflite", "onnx"]\nwithout = ["fold_scale", "drop_noops"]\nimage-size = 96\nbatch = 2\n'
    given = parsed(tmp_path, text, "--format=coreml", "--without", "merge_branches", "--imgs", "64")
    assert given.format == ("coreml",)
    assert given.without == ["merge_branches"]
    assert given.image_size == (64, 64)
    assert given.batch == 2


@pytest.mark.parametrize(
    "action",
    [one for one in export_parser()._actions if one.nargs == 0 and one.dest not in OF_THE_COMMAND],
    ids=lambda action: action.dest,
)
def test_an_option_without_a_value_can_be_taken_back(action, tmp_path):
    name = action.option_strings[0]
    opposite = name.replace("--no-", "--") if name.startswith("--no-") else f"--no-{name[2:]}"
    assert getattr(parsed(tmp_path, f"{action.dest} = true\n"), action.dest) is True
    assert getattr(parsed(tmp_path, f"{action.dest} = true\n", opposite), action.dest) is False
    assert getattr(parsed(tmp_path, "", opposite), action.dest) is False
    with pytest.raises(UsageError, match=f"{opposite} and {name} are both given"):
        parsed(tmp_path, "", opposite, name)
    with pytest.raises(UsageError, match="unrecognized"):
        export_parser().parse_args([opposite])  # there is nothing to take back without a file


def test_files_are_relative_to_the_file(tmp_path):
    (tmp_path / "photographs").mkdir()
    lines = ("model = 'net.py:build'", "checkpoint = 'a.pt'", "calibration = 'photographs'", "data = 'a.b:c'")
    text = "\n".join(lines)
    given = parsed(tmp_path, text)
    assert given.model == f"{tmp_path / 'net.py'}:build"
    assert given.checkpoint == tmp_path / "a.pt"
    assert given.calibration == str(tmp_path / "photographs")
    assert given.data == "a.b:c"
    assert parsed(tmp_path, 'model = "timm/resnet18"\ncalibration = "random"\n').calibration == "random"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('precison = "fp16"', "unknown option 'precison'; did you mean 'precision'"),
        ("json = true", "json: goes on the command line, not into a file"),
        ('normalize = "yes"', "normalize: 'yes' is not true or false"),
        ("batch = 0", "batch: argument --batch: '0' is not a positive whole number"),
        ("batch = true", "batch: True is neither text nor a number"),
        ("format = []", "format: an empty list"),
        ("labels = { a = 1 }", "labels: takes no table"),
        ("format = ", "not TOML"),
        ('checkpoint = ["a.pt", 2024-01-01]', "neither text nor a number"),
    ],
)
def test_what_does_not_fit_is_refused_by_file_and_key(text, message, tmp_path):
    with pytest.raises(UsageError, match=r"deploy\.toml: ") as refusal:
        parsed(tmp_path, text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config"], "--config: name a TOML file"),
        (["--config", "a.toml", "--config", "b.toml"], "given twice"),
        (["--config=no.toml"], "no.toml: no such file"),
        (["--conf", "no.toml"], "write --config in full"),
    ],
)
def test_bad_words(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        cli._export(words)


def test_an_option_of_a_file_is_honoured_or_refused_as_on_the_command_line(tmp_path):
    (tmp_path / "deploy.toml").write_text("summary = true\nopset = 17\n")
    with pytest.raises(UsageError, match="--summary writes no file: leave out --opset"):
        cli._export(["--config", str(tmp_path / "deploy.toml")])


def test_the_file_of_the_document_is_taken(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "config.md").read_text(), re.DOTALL)
    given = parsed(tmp_path, text)
    assert given.format == ("tflite", "onnx")
    assert given.model_arg == [("dropout", "0.1")]
