"""What a contract may say: everything else is refused by file, table and word."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocovit_deploy.cli import parsers as words
from mocovit_deploy.contract.evidence import Conditions
from mocovit_deploy.contract.model_table import MODEL_WORDS
from mocovit_deploy.contract.read import read_contract
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import ModelSpec, OwnInput

MODEL = '[model.net]\nmodel = "mocovit_1_0"\n'
FILE = '[[model.net.file]]\nformat = "onnx"\nprecision = "fp32"\nmax_error = 1e-5\n'
TFLITE = FILE.replace("onnx", "tflite")


def read(text, folder):
    path = folder / "parity.toml"
    path.write_text(text)
    return read_contract(path)


def test_a_contract_as_data(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"weights")
    (model,) = read(
        f"""
        [model.digits]
        model = "mocovit_0_5"
        model_arg = {{ num_heads = 2, value_relu = true, transformer_se = "0101" }}
        checkpoint = "{tmp_path / "mine.pt"}"
        prefer_ema = true
        normalize = true
        num_classes = 10
        image_size = 96
        batch = 2
        seed = 3
        input_names = ["picture"]
        output_names = ["digit"]
        layout = "nchw"
        opset = 17
        minimum_deployment_target = "iOS17"
        no_simplify = true
        without = ["fold_scale"]
        data = "images.npz"
        images = 1000

        [[model.digits.file]]
        format = "tflite"
        precision = "fp16"
        target = "emulated"
        runtime = "litert"
        cpu = "cortex-a76"
        arithmetic = "fp16"
        max_error = 1e-2
        instructions = 55_142_490

        [[model.digits.file]]
        format = "coreml"
        precision = "fp32"
        images = 100
        min_accuracy = 0.9
        """,
        tmp_path,
    ).models
    assert model.name == "digits"
    assert model.data == "images.npz"
    assert model.request.model == ModelSpec(
        "mocovit_0_5",
        arguments=(("num_heads", "2"), ("value_relu", "true"), ("transformer_se", "0101")),
        checkpoint=tmp_path / "mine.pt",
        prefer_ema=True,
        normalize=True,
        num_classes=10,
        input=OwnInput(size=96, batch=2),
        seed=3,
        input_names=("picture",),
        output_names=("digit",),
    )
    request = model.request
    assert (request.layout, request.opset, request.minimum_deployment_target) == ("nchw", 17, "iOS17")
    assert (request.simplify, request.without) == (False, ("fold_scale",))
    assert request.files == (("tflite", "fp16"), ("coreml", "fp32"))
    emulated, coreml = model.files
    assert emulated.conditions == Conditions("emulated", "litert", "cortex-a76", "fp16", 1000)
    assert emulated.bounds == (("max_error", 1e-2), ("instructions", 55_142_490))
    assert coreml.conditions == Conditions(images=100)
    assert coreml.title == "coreml fp32"
    assert emulated.title == "tflite fp16 on emulated"


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    text = '[model.tiny]\nmodel = "mocovit_0_5"\n[[model.tiny.file]]\nformat = "onnx"\nprecision = "fp32"\n'
    (tmp_path / "parity.toml").write_text(f"{text}max_error = 1e-5\n", encoding="utf-8-sig")
    assert read_contract(tmp_path / "parity.toml").models[0].name == "tiny"


def test_every_word_of_the_command_line_about_the_network_is_one_of_the_contract():
    """An option added to mocovit-export is a word here, or is named as one that is none."""
    options = {action.dest for action in words.export_parser()._actions}
    not_of_the_network = {
        *("help", "json", "verbose", "version", "summary", "no_verify", "output_dir", "app_code"),
        *("format", "precision"),  # of a file
        *("data", "images", "max_drop"),  # of a model and its bounds
        *("report", "card", "measure", "config", "completion", "sweep", "ray"),  # beside the files
        *("device", "runtime", "judging_images"),  # of a search, whose result a contract names
    }
    assert set(MODEL_WORDS) == options - not_of_the_network


EMULATED = 'target = "emulated"\nruntime = "litert"\ncpu = "cortex-a76"\n'
BAD = {
    "not TOML": ("[model.net", "not TOML"),
    "nested without end": ("a = " + "[" * 100_000, "not TOML"),
    "an endless number": ("a = " + "1" * 10_000, "not TOML"),
    "empty": ("", "no [model.NAME] table"),
    "no model in it": ("[model]\n", "no [model.NAME] table"),
    "model is no table": ("model = 3\n", "no [model.NAME] table"),
    "models in a list": ("[[model]]\n", "no [model.NAME] table"),
    "a table unknown": (
        f"[modle.net]\n{MODEL}{FILE}",
        "parity.toml: unknown table 'modle'; did you mean 'model'?",
    ),
    "a name with a path in it": (
        MODEL.replace("net", '"../net"') + "[[model.net.file]]\n",
        "cannot be a folder's name",
    ),
    "a dot alone": (MODEL.replace("net", '".."'), "cannot be a folder's name"),
    "a net that is no table": ('[model]\nnet = "x"\n', "model.net: not a table"),
    "no model": ("[model.net]\n" + FILE, "model.net: model is missing"),
    "no file": (MODEL, "no [[model.net.file]]"),
    "a file that is no list": (MODEL + "[model.net.file]\n", "no [[model.net.file]]"),
    "a file that is no table": (MODEL + "file = [3]\n", "model.net.file[0]: not a table"),
    "a word unknown": (
        MODEL + "image_siz = 3\n" + FILE,
        "'image_siz'; did you mean 'image_size'?",
    ),
    "a dash": (MODEL + "image-size = 3\n" + FILE, "did you mean 'image_size'?"),
    "a bound unknown": (
        MODEL + FILE + "max_eror = 1e-5\n",
        "model.net.file[0]: unknown word 'max_eror'; did you mean 'max_error'?",
    ),
    "the second file": (MODEL + FILE + TFLITE + "max = 1\n", "model.net.file[1]: unknown word 'max'"),
    "no bound": (MODEL + FILE.replace("max_error = 1e-5\n", ""), "holds no bound, so it could not fail"),
    "no format": (MODEL + '[[model.net.file]]\nprecision = "fp32"\nmax_error = 1e-5\n', "format is missing"),
    "no precision": (
        MODEL + '[[model.net.file]]\nformat = "onnx"\nmax_error = 1e-5\n',
        "precision is missing",
    ),
    "a format unknown": (MODEL + FILE.replace("onnx", "onx"), "did you mean 'onnx'?"),
    "a precision unknown": (MODEL + FILE.replace("fp32", "fp8"), "unknown value 'fp8'"),
    "a precision of another format": (
        MODEL + FILE.replace("fp32", "fp16_weights"),
        "unknown value 'fp16_weights'",
    ),
    "nan": (MODEL + FILE.replace("1e-5", "nan"), "max_error: nan is not a finite number"),
    "inf": (MODEL + FILE.replace("1e-5", "inf"), "max_error: inf is not a finite number"),
    "negative": (
        MODEL + FILE.replace("1e-5", "-1e-5"),
        "-1e-05 is not a finite number, 0 or more",
    ),
    "a text": (MODEL + FILE.replace("1e-5", '"1e-5"'), "max_error: '1e-5' is not a number"),
    "a flag": (MODEL + FILE.replace("1e-5", "true"), "max_error: True is not a number"),
    "a date": (MODEL + FILE.replace("1e-5", "2026-11-24"), "is not a number"),
    "a share above one": (MODEL + FILE + "min_top1_agreement = 1.5\n", "1.5 is more than 1"),
    "a bound all files meet": (MODEL + FILE + "min_sqnr_db = 0\n", "a bound that every file meets"),
    "half an operator": (MODEL + FILE + "max_operators = 1.5\n", "max_operators: 1.5 is not a whole number"),
    "partitions of onnx": (MODEL + FILE + "max_partitions = 1\n", "max_partitions is for tflite files only"),
    "accuracy without data": (MODEL + FILE + "min_accuracy = 0.9\n", "min_accuracy needs data"),
    "data without accuracy": (
        MODEL + 'data = "a:b"\n' + FILE,
        "data is given, but no file has a bound on accuracy",
    ),
    "images without accuracy": (
        MODEL + "images = 5\n" + FILE,
        "images is given, but no file has a bound on accuracy",
    ),
    "instructions without a core": (
        MODEL + TFLITE + 'instructions = 5\nruntime = "litert"\n',
        "instructions needs cpu",
    ),
    "instructions without a runtime": (MODEL + TFLITE + "max_instructions = 5\n", "needs runtime"),
    "a core unknown": (MODEL + TFLITE + 'cpu = "cortex-a77"\n', "did you mean 'cortex-a76'?"),
    "a core without use": (MODEL + TFLITE + 'cpu = "cortex-a76"\n', "cpu has no effect on max_error"),
    "a runtime without use": (MODEL + TFLITE + 'runtime = "litert"\n', "runtime has no effect on max_error"),
    "images of a file without use": (MODEL + FILE + "images = 5\n", "images has no effect on max_error"),
    "arithmetic without use": (
        MODEL + FILE.replace("max_error = 1e-5", "max_operators = 5") + 'arithmetic = "fp16"\n',
        "arithmetic has no effect on max_operators",
    ),
    "a target unknown": (MODEL + TFLITE + 'target = "emulate"\n', "did you mean 'emulated'?"),
    "emulated without a core": (
        MODEL + TFLITE + 'target = "emulated"\n',
        "target emulated needs runtime and cpu",
    ),
    "Core ML emulated": (
        MODEL
        + FILE.replace("onnx", "coreml")
        + 'target = "emulated"\nruntime = "litert"\ncpu = "cortex-a76"\n',
        "target emulated runs only onnx and tflite files",
    ),
    "accuracy emulated": (
        MODEL + 'data = "a:b"\n' + TFLITE + EMULATED + "min_accuracy = 0.5\n",
        "min_accuracy is measured only on target host",
    ),
    "one file twice": (MODEL + FILE + FILE, "two files are onnx fp32"),
    "a checkpoint that is not there": (
        MODEL + 'checkpoint = "no.pt"\n' + FILE,
        "checkpoint: no.pt: no such file",
    ),
    "a checkpoint that is a number": (
        MODEL + "checkpoint = 3\n" + FILE,
        "checkpoint: 3 is not text in quotes",
    ),
    "classes in words": (MODEL + 'num_classes = "10"\n' + FILE, "num_classes: '10' is not a whole number"),
    "no classes": (MODEL + "num_classes = 0\n" + FILE, "num_classes: 0 is not a positive whole number"),
    "a flag in words": (MODEL + 'prefer_ema = "yes"\n' + FILE, "prefer_ema: 'yes' is not true or false"),
    "names in a text": (
        MODEL + 'input_names = "a,b"\n' + FILE,
        "input_names: 'a,b' is not a list of at least one text in quotes",
    ),
    "arguments in a list": (MODEL + "model_arg = [1]\n" + FILE, "model_arg: [1] is not a table"),
    "an argument in a list": (
        MODEL + "model_arg = { a = [1] }\n" + FILE,
        "model_arg.a: [1] is not text in quotes",
    ),
    "a layout unknown": (MODEL + 'layout = "nwhc"\n' + FILE, "did you mean 'nhwc'?"),
    "classes without a head": (
        MODEL + "features = true\nnum_classes = 7\n" + FILE,
        "features leaves out the head with the classes; leave out num_classes",
    ),
    "labelled images without a head": (
        MODEL + 'features = [8]\ndata = "a:b"\n' + FILE + "min_accuracy = 0.5\n",
        "features leaves out the head with the classes; leave out data",
    ),
    "classes twice": (
        MODEL + 'num_classes = 7\nmodel_arg = { num_classes = "8" }\n' + FILE,
        "num_classes and model_arg num_classes are both given; leave one out",
    ),
    "an average of nothing": (
        MODEL + "prefer_ema = true\n" + FILE,
        "prefer_ema chooses among the weights of a checkpoint; give both, or leave prefer_ema out",
    ),
    "strides that are none": (MODEL + "features = [8, 12]\n" + FILE, "or one that is not a power of two"),
    "a size that is none": (MODEL + 'image_size = "8x"\n' + FILE, "is neither a number nor"),
    "dynamic": (MODEL + 'dynamic = "size"\n' + FILE, "unknown value 'size'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_line_that_says_where(case, tmp_path):
    text, message = BAD[case]
    with pytest.raises(UsageError) as caught:
        read(text, tmp_path)
    said = str(caught.value)
    assert message in said, said
    assert said.startswith(f"{tmp_path / 'parity.toml'}: ")
    assert "\n" not in said


def test_files_that_are_no_contract(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_contract(tmp_path / "no.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_contract(tmp_path)
    (tmp_path / "binary.toml").write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match="not TOML"):
        read_contract(tmp_path / "binary.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(UsageError, match="larger than"):
        read_contract(tmp_path / "large.toml")


def test_our_own_contract_is_one(monkeypatch):
    root = Path(__file__).parent.parent.parent
    monkeypatch.chdir(root)
    contract = read_contract(Path("parity.toml"))
    assert {model.name for model in contract.models} >= {"mocovit_1_0", "digits"}
