"""The README: its commands run and print what it shows, its tables and links hold."""

import re
import shlex
import shutil

import torch
from conftest import ROOT, run
from PIL import Image

from model import ConvNet

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def form_of(line: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "N", line)


def assert_shown(shown: str, printed: str) -> None:
    """Each line that is shown has the form of one that is printed; ... is any."""
    forms = [form_of(line.rstrip()) for line in printed.splitlines()]
    for line in shown.strip().splitlines():
        assert form_of(line) in [*forms, "..."], line


def test_the_training_prints_lines_of_the_form_that_is_shown(trained):
    (shown,) = re.findall(r"```text\n(Epoch.*?)```", README, re.DOTALL)
    assert shown.splitlines()[-1].startswith("Test Accuracy")
    assert_shown(shown.replace("/5]", "/1]"), trained[0].stdout)


def test_the_other_commands_print_lines_of_the_form_that_is_shown(trained, tmp_path):
    """The last line of demo.py, the digit, is compared as it is."""
    shutil.copy(trained[1], tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")

    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = re.findall(r"\$ python ([^\n]*)\n([^$]*)", block)
    scripts = [command.split()[0] for command, _ in commands]
    assert scripts == ["demo.py", "resolve.py", "demo.py"]

    for command, shown in commands:
        result = run(*shlex.split(command), cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert_shown(shown, result.stdout)
        if command.startswith("demo.py"):
            assert result.stdout.splitlines()[-1] == shown.split()[-1]


def test_the_lines_for_the_python_prompt_run(trained, tmp_path, monkeypatch, capsys):
    shutil.copy(trained[1], tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image.Image, "show", lambda picture: None)

    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})  # noqa: S102, the code is our own
    assert capsys.readouterr().out.startswith("tensor(9) tensor([[")


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


def test_the_readmes_table_of_changes_is_part_of_the_results():
    rows = re.findall(r"(?m)^\| .* \| .* ± .*%.* \|$", README)
    assert len(rows) > 5 and set(rows) <= set(RESULTS.splitlines())
    headline = re.search(r"\*\*([\d.]+ ± [\d.]+%) of MNIST", README)[1]
    assert headline in rows[0]


def test_links_and_files_that_are_named_exist():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        path = link.partition("#")[0]
        assert link.startswith("http") or (ROOT / path).exists(), link
    for name in re.findall(r"`((?:docs/|tests/)?\w+\.(?:py|md))`", README):
        assert (ROOT / name).exists(), name


def test_ci_runs_the_commands_of_the_two_command_lines():
    """With fewer epochs and less to print, and in a virtual environment of its own."""
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    lines = re.findall(r"(?m)^python3 -m venv .*", README)
    assert len(lines) == 2

    install, train = lines[0].split(" && ")[2:]
    install_tests, test = lines[1].split(" && ")[2:]
    assert (install, train) == ("pip install -r requirements.txt", "python train.py")
    assert install_tests.replace("install", "install --quiet") in script
    assert test in script
    assert any(line.startswith(f"{train} --epochs 1 ") for line in script)
