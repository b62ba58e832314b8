"""The README: its commands run and print what it shows, its table and links hold."""

import re
import shlex
import shutil

import torch
from conftest import ROOT, run

from model import ConvNet

README = (ROOT / "README.md").read_text(encoding="utf-8")


def form_of(text: str) -> list[str]:
    """Return the lines of a text with every number replaced by N."""
    return [re.sub(r"\d+(\.\d+)?", "N", line.rstrip()) for line in text.splitlines()]


def test_the_commands_print_what_is_shown(trained, tmp_path):
    """train.py with one epoch, the others with its weights; ... stands for anything."""
    training, weights = trained
    shutil.copy(weights, tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shown = re.findall(r"```console\n\$ python ([^\n]*)\n(.*?)```", README, re.DOTALL)
    assert [command.split()[0] for command, _ in shown][:3] == [
        "train.py",
        "resolve.py",
        "demo.py",
    ]
    for command, text in shown:
        if command == "train.py":
            printed = training.stdout
        else:
            result = run(*shlex.split(command), cwd=tmp_path)
            assert (result.returncode, result.stderr) == (0, "")
            printed = result.stdout
        forms = form_of(printed)
        for line, form in zip(text.splitlines(), form_of(text)):
            known = (line.rstrip() if "@" in line else form) in [
                *forms,
                *(line.rstrip() for line in printed.splitlines()),
            ]
            assert known or line.strip() in ("...", ""), (command, line)
        if command.startswith("demo.py"):
            assert printed.splitlines()[-1] == text.splitlines()[-1]


def test_the_layer_table_is_the_network():
    rows = re.findall(
        r"^\| `(\w+\(.*\))` \| ([\dx ]+) \| ([\d,]+) \|", README, re.MULTILINE
    )
    model = ConvNet()
    layers, x, total = (
        [*model.layer1, *model.layer2, model.fc],
        torch.zeros(1, 1, 28, 28),
        0,
    )
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
    for line in re.findall(r"```sh\n(python3 .*)\n```", README)[:2]:
        for part in line.split(" && ")[2:]:
            assert part in script.replace(" --quiet", ""), part
