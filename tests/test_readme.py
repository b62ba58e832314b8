"""The README: its commands run and print what it shows, its tables and links hold."""

import re
import shlex
import stat
from pathlib import Path

import pytest
import torch
from conftest import ROOT, run, write_mnist

import demo
from model import ConvNet

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ (python [^\n]*)\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*)\n```", README)


def form_of(line: str) -> str:
    """Return a line with all its numbers replaced by N."""
    return re.sub(r"\d+(\.\d+)?", "N", line.rstrip())


@pytest.fixture(scope="module")
def outputs(test_set, tmp_path_factory) -> dict[str, str]:
    """Run the README's commands in their order, on a smaller MNIST, in a new folder."""
    folder = tmp_path_factory.mktemp("readme")
    images, labels = test_set
    write_mnist(
        folder / "data",
        {"train": images, "t10k": images[:100]},
        {"train": labels, "t10k": labels[:100]},
    )
    (folder / "docs").symlink_to(ROOT / "docs")
    outputs = {}
    for command, _ in BLOCKS:
        result = run(*shlex.split(command)[1:], cwd=folder)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        outputs[command] = result.stdout
    return outputs


def test_there_are_examples_of_all_three_scripts():
    commands = [command for command, _ in BLOCKS]
    photo = "python demo.py docs/photo.jpg"
    assert commands == ["python train.py", "python resolve.py", "python demo.py", photo]


def test_train_and_resolve_print_lines_of_the_form_shown(outputs):
    for command, shown in BLOCKS[:2]:
        shown_forms = {form_of(line) for line in shown.splitlines()} - {"..."}
        assert {form_of(line) for line in outputs[command].splitlines()} == shown_forms
        assert form_of(outputs[command].splitlines()[-1]) == form_of(
            shown.splitlines()[-1]
        )


def test_demo_prints_what_is_shown(outputs, test_set):
    shown, photo_shown = (block.splitlines() for _, block in BLOCKS[2:])
    printed, photo_printed = (
        outputs[command].splitlines() for command, _ in BLOCKS[2:]
    )
    assert [line.rstrip() for line in printed[:29]] == [
        line.rstrip() for line in shown[:29]
    ]
    assert "\n".join(printed[1:29]) == demo.draw(test_set[0][12])
    assert [form_of(line) for line in printed] == [form_of(line) for line in shown]
    assert [form_of(line) for line in photo_printed[-4:]] == [
        form_of(line) for line in photo_shown[-4:]
    ]
    assert photo_printed[-1] == photo_shown[-1] == "5"


def test_ci_runs_the_two_command_lines():
    """With one epoch instead of five."""
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert script.stat().st_mode & stat.S_IXUSR
    install, test = COMMANDS[:2]
    assert install.endswith("pip install -r requirements.txt && python train.py")
    for part in [*install.split(" && "), *test.split(" && ")]:
        assert part.removeprefix("python3 -m ") in text.replace("--quiet ", ""), part


def test_the_layer_table_is_the_network():
    rows = re.findall(
        r"^\| `(\w+)\((.*)\)` \| ([\dx ]+) \| ([\d,]+) \|", README, re.MULTILINE
    )
    model = ConvNet()
    layers = [*model.layer1, *model.layer2, model.fc]
    assert [type(layer).__name__ for layer in layers] == [name for name, *_ in rows]
    x, total = torch.zeros(1, 1, 28, 28), 0
    for layer, (_, arguments, shape, count) in zip(layers, rows, strict=True):
        x = layer(x if layer is not model.fc else x.flatten(1))
        assert [int(size) for size in shape.split(" x ")] == list(x.shape[1:])
        parameters = sum(p.numel() for p in layer.parameters())
        assert parameters == int(count.replace(",", ""))
        written = eval(f"torch.nn.{type(layer).__name__}({arguments})")
        assert repr(written) == repr(layer)
        total += parameters
    assert total == 29_034 and "| together | | 29,034 |" in README


def test_links_and_file_names_exist():
    links = re.findall(r"\]\(([^)]+)\)", README)
    for link in links:
        assert link.startswith("http") or (ROOT / link).exists(), link
    for name in re.findall(
        r"`((?:docs/|tests/|data/)?[\w/]+\.(?:py|txt|jpg))`", README
    ):
        assert (ROOT / name).exists() or name in ("test/label.txt",), name
    for name in re.findall(r"python ([\w/]+\.py)", README):
        assert (ROOT / name).exists(), name
    assert sum(link.endswith(".png") for link in links) >= 6


def test_every_picture_in_docs_is_shown_or_used():
    for path in (ROOT / "docs").iterdir():
        if path.suffix in (".png", ".jpg"):
            assert path.name in README, path


def test_the_readme_can_be_read_in_one_go():
    lines = README.splitlines()
    assert len(lines) < 320
    assert Path(ROOT / "LICENSE").exists() and "CC BY-SA 3.0" in README
