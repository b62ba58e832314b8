"""The README: its commands run and print what it shows, its table and links hold."""

import re
import shlex
import shutil

import torch
from conftest import ROOT, run

from model import ConvNet

README = (ROOT / "README.md").read_text(encoding="utf-8")


def form_of(line: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "N", line)


def test_the_commands_print_what_is_shown(trained, tmp_path):
    """train.py with one epoch, the others with its weights; ... stands for anything."""
    training, weights = trained
    shutil.copy(weights, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")

    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    shown = re.findall(r"\$ python ([^\n]*)\n([^$]*)", "".join(blocks))
    scripts = [command.split()[0] for command, _ in shown]
    assert scripts == ["train.py", "resolve.py", "demo.py", "demo.py"]

    for command, text in shown:
        printed = training.stdout
        if command != "train.py":
            result = run(*shlex.split(command), cwd=tmp_path)
            assert (result.returncode, result.stderr) == (0, "")
            printed = result.stdout

        forms = [form_of(line.rstrip()) for line in printed.splitlines()]
        for line in text.split("\n"):
            assert form_of(line) in [*forms, "...", ""], command
        if command.startswith("demo.py"):
            assert printed.splitlines()[-1] == text.split()[-1]


def test_the_layer_table_is_the_network():
    rows = re.findall(r"(?m)^\| `(\w+\(.*\))` \| ([\dx ]+) \| ([\d,]+) \|", README)
    model, x, total = ConvNet(), torch.zeros(1, 1, 28, 28), 0
    layers = [*model.layer1, *model.layer2, model.fc]
    for layer, (code, shape, count) in zip(layers, rows, strict=True):
        assert repr(eval(f"torch.nn.{code}")) == repr(layer)
        x = layer(x if layer is not model.fc else x.flatten(1))
        assert [int(size) for size in shape.split(" x ")] == list(x.shape[1:])
        assert int(count.replace(",", "")) == sum(p.numel() for p in layer.parameters())
        total += int(count.replace(",", ""))
    assert f"{total:,}" in README


def test_links_and_files_that_are_named_exist():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
    for name in re.findall(r"`((?:docs/|tests/)?\w+\.(?:py|md|jpg))`", README):
        assert (ROOT / name).exists(), name


def test_ci_runs_the_two_command_lines():
    script = (ROOT / ".ci" / "run").read_text()
    for line in re.findall(r"(?m)^python3 -m venv .*", README):
        for part in line.split(" && ")[2:]:
            assert part in script.replace(" --quiet", ""), part
