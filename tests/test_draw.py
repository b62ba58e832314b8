"""draw.py: what is drawn in its window is read, and what stops it is a sentence."""

import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from conftest import ROOT, run

from demo import load_model

tkinter = pytest.importorskip("tkinter", reason="this Python has no tkinter")

FIVE = [
    (235, 67),
    (123, 67),
    (111, 157),
    (190, 146),
    (230, 196),
    (190, 263),
    (106, 252),
]
ONE = [(300, 60), (300, 270)]


@pytest.fixture(scope="module")
def display():
    """Make sure that windows can be opened, on a display that nobody sees if need be."""
    if "DISPLAY" in os.environ or sys.platform in ("darwin", "win32"):
        yield
        return
    if not shutil.which("Xvfb"):
        pytest.skip("no display, and no Xvfb")

    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1000x700x24"]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as x,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DISPLAY", f":{x.stdout.readline().decode().strip()}")
        yield
        x.terminate()


@pytest.fixture
def window(display, trained):
    import draw

    window = draw.Window(load_model(trained[1]))
    errors = []
    window.report_callback_exception = lambda *error: errors.append(error)
    window.update()
    yield window
    window.destroy()
    assert errors == []


def draw_line(window, places):
    """Draw as a quick mouse does, which is seen at few places."""
    (x, y), *others = places
    window.page.event_generate("<Button-1>", x=x, y=y)
    for x, y in others:
        window.page.event_generate("<B1-Motion>", x=x, y=y)
    window.page.event_generate("<ButtonRelease-1>", x=x, y=y)


def lengths(window):
    """Return the lengths of the ten bars, from that of 0 to that of 9."""
    bars = []
    for item in window.bars.find_all():
        if window.bars.type(item) == "rectangle":
            left, top, right, _ = window.bars.coords(item)
            bars.append((top, right - left))
    return [length for _, length in sorted(bars)]


def wait_for_bars(window):
    """Let the window work until it shows a reading, for 10 seconds at most."""
    before, end = lengths(window), time.monotonic() + 10
    while lengths(window) == before and time.monotonic() < end:
        window.update()
    return lengths(window)


def is_empty(window):
    return not window.page.find_all() and max(lengths(window)) == 0


def test_a_5_drawn_with_a_quick_mouse_is_read_without_a_doubt(window):
    draw_line(window, FIVE)
    bars = wait_for_bars(window)
    assert len(bars) == 10 and bars.index(max(bars)) == 5
    assert max(bars) > 0.9 * sum(bars) and window.doubts["text"] == ""


def test_a_quick_mouse_leaves_no_gaps(window):
    draw_line(window, FIVE)
    for (x, y), (next_x, next_y) in pairwise(FIVE):
        for part in range(11):
            place = (
                round(x + part * (next_x - x) / 10),
                round(y + part * (next_y - y) / 10),
            )
            assert window.picture.getpixel(place) == 0, place


def test_a_click_is_a_dot_on_the_page_and_in_its_picture(window):
    draw_line(window, [(100, 100)])
    assert window.page.find_all() and window.picture.getpixel((100, 100)) == 0


@pytest.mark.parametrize("how", ["the key", "the button"])
def test_the_key_and_the_button_clear_the_page(how, window):
    draw_line(window, FIVE)
    wait_for_bars(window)
    assert not is_empty(window)
    if how == "the key":
        window.focus_force()
        window.event_generate("<Escape>")
    else:
        (button,) = (
            part for part in window.winfo_children() if isinstance(part, tkinter.Button)
        )
        assert "Clear" in button["text"] and "Escape" in button["text"]
        button.invoke()
    window.update()
    assert is_empty(window) and window.picture.getextrema() == (255, 255)


def test_a_page_cleared_before_it_was_read_stays_empty(window):
    draw_line(window, FIVE)
    window.clear()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        window.update()
    assert is_empty(window)


def test_after_clearing_the_next_digit_is_read(window):
    draw_line(window, FIVE)
    wait_for_bars(window)
    window.clear()
    draw_line(window, [(x - 130, y) for x, y in ONE])
    bars = wait_for_bars(window)
    assert bars.index(max(bars)) == 1


def test_two_digits_are_doubted_in_the_line_below_until_cleared(window):
    draw_line(window, [(x - 80, y) for x, y in FIVE])
    wait_for_bars(window)
    assert window.doubts["text"] == ""
    draw_line(window, ONE)
    wait_for_bars(window)
    assert "several" in window.doubts["text"]
    window.clear()
    assert window.doubts["text"] == ""


# What stops it


def run_in(folder, environment, *options):
    command = [sys.executable, str(ROOT / "draw.py"), *map(str, options)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def assert_one_sentence(result, *words):
    assert result.returncode not in (0, None) and result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert all(word in sentence for word in words), sentence


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="has a display")
def test_without_a_display_it_ends_in_a_sentence(trained, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    result = run_in(tmp_path, environment, "--model", trained[1])
    assert_one_sentence(result, "draw.py", "window", "display")


def test_without_weights_it_ends_in_a_sentence(tmp_path):
    result = run("draw.py", cwd=tmp_path)
    assert_one_sentence(result, "model.ckpt", "train.py", "--model")


def test_without_tkinter_it_ends_in_a_sentence(tmp_path):
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "tkinter.py").write_text("raise ImportError")
    result = run_in(tmp_path, os.environ | {"PYTHONPATH": str(stub)})
    assert_one_sentence(result, "tkinter", "python3-tk")
