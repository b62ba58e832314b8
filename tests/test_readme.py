"""The README: its commands and lines of code run, its tables and links hold."""

import re
import shlex
import shutil

import pytest
import torch
from conftest import ROOT, run

from model import ConvNet

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A folder with model.ckpt and docs, as the clone is after the training."""
    shutil.copy(trained[1], tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_command_runs_and_ends_in_the_line_that_is_shown(folder):
    blocks = "".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
    commands = re.findall(r"\$ python ([^\n]*)\n([^$]*)", blocks)
    assert len(commands) == 3
    for command, shown in commands:
        result = run(*shlex.split(command), cwd=folder)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.splitlines()[-1] == shown.strip().splitlines()[-1]


def test_the_lines_for_the_python_prompt_print_what_is_promised(folder, capsys):
    blocks = re.findall(r"```python\n(.*?)```\n+It prints `(.*?)`", README, re.DOTALL)
    assert len(blocks) == 2
    for code, promised in blocks:
        exec(code, {})  # noqa: S102, the code is our own
        assert capsys.readouterr().out.split() == promised.split()


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
        path = link.partition("#")[0]
        assert link.startswith("http") or (ROOT / path).exists(), link
    for name in re.findall(r"`((?:docs/|tests/)?\w+\.(?:py|md))`", README):
        assert (ROOT / name).exists(), name
