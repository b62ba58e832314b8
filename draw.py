"""Draw a digit with the mouse, and watch the network read it.

    python draw.py

Beside the page it shows the 28x28 pixels that the network sees and the probability of
each digit, updated while you draw. The window is made with tkinter, which comes with
most Pythons (on Debian and Ubuntu: apt install python3-tk).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from demo import load_model, read_digit
from model import WEIGHTS_FILE, ConvNet
from prepare import NoInk

try:
    import tkinter

    from PIL import ImageTk
except ImportError:
    sys.exit("draw.py needs tkinter: on Debian and Ubuntu, apt install python3-tk")

SIDE = 336  # of the page, in pixels: 12 x 28
PEN = 22  # the width of a line, in pixels
PAUSE = 60  # milliseconds from a stroke to its reading; more strokes wait for it


class Window(tkinter.Tk):
    """A page to draw on, what the network sees of it, and ten probabilities."""

    def __init__(self, model: ConvNet):
        super().__init__()
        self.title("Draw a digit")
        self.model = model
        self.is_waiting = False  # for the next reading

        self.page = tkinter.Canvas(self, width=SIDE, height=SIDE, background="white")
        self.seen = tkinter.Label(self)
        self.bars = tkinter.Canvas(self, width=SIDE // 2, height=SIDE)
        for column, part in enumerate((self.page, self.seen, self.bars)):
            part.grid(row=0, column=column, padx=8, pady=8)

        self.doubts = tkinter.Label(self, height=2, wraplength=2 * SIDE)
        self.doubts.grid(row=1, column=1, columnspan=2)
        button = tkinter.Button(self, text="Clear (Escape)", command=self.clear)
        button.grid(row=1, column=0)

        self.bind("<Escape>", self.clear)
        self.page.bind("<Button-1>", self.begin_stroke)
        self.page.bind("<B1-Motion>", self.draw)
        self.clear()

    def clear(self, event: tkinter.Event | None = None) -> None:
        self.page.delete("all")
        self.picture = Image.new("L", (SIDE, SIDE), "white")  # the page once more
        self.show(torch.zeros(28, 28), torch.zeros(10), [])

    def begin_stroke(self, event: tkinter.Event) -> None:
        self.pen = event.x, event.y
        self.draw(event)

    def draw(self, event: tkinter.Event) -> None:
        """Draw a line to the mouse, on the window's page and in its picture."""
        start, end = self.pen, (event.x, event.y)
        self.page.create_line(*start, *end, width=PEN, capstyle="round")

        pencil = ImageDraw.Draw(self.picture)
        pencil.line([start, end], "black", PEN)
        pencil.circle(start, PEN / 2, "black")
        pencil.circle(end, PEN / 2, "black")
        self.pen = end

        if not self.is_waiting:
            self.is_waiting = True
            self.after(PAUSE, self.read)

    def read(self) -> None:
        self.is_waiting = False
        picture = torch.tensor(np.asarray(self.picture)) / 255
        try:
            self.show(*read_digit(self.model, picture))
        except NoInk:  # the page was cleared meanwhile
            pass

    def show(self, pixels: Tensor, probabilities: Tensor, doubts: list[str]) -> None:
        """Show what read_digit returns."""
        levels = Image.fromarray(np.uint8(255 * pixels))
        enlarged = levels.resize((SIDE, SIDE), Image.Resampling.NEAREST)
        # tkinter keeps no reference to its picture, so the window must.
        self.image = ImageTk.PhotoImage(enlarged, master=self)
        self.seen.config(image=self.image)

        self.bars.delete("all")
        for digit, probability in enumerate(probabilities.tolist()):
            y = (digit + 0.5) * SIDE / 10
            length = probability * (SIDE // 2 - 24)
            self.bars.create_text(8, y, text=digit)
            box = (18, y - 9, 18 + length, y + 9)
            self.bars.create_rectangle(box, fill="black", width=0)

        self.doubts.config(text="\n".join(doubts))


def main(argv: list[str] | None = None) -> None:
    """Load the weights, open the window."""
    parser = argparse.ArgumentParser(
        description="Draw a digit, and watch the network read it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    args = parser.parse_args(argv)

    if not args.model.exists():
        sys.exit(f"draw.py: there is no {args.model}: run train.py, or use --model")
    try:
        window = Window(load_model(args.model))
    except tkinter.TclError as error:
        sys.exit(f"draw.py cannot open a window: {error}")
    window.mainloop()


if __name__ == "__main__":
    main()
