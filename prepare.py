"""Make any picture of a digit look like MNIST's: 28x28, white on black, centred.

1. A picture that looks like MNIST's is left alone; others are scaled to 96 pixels.
2. If there is a sheet on a desk, or a dark square on a page, start again inside it.
3. The paper is the median of each pixel's surroundings. What differs from it is ink:
   dark or bright ink, whichever differs more.
4. Otsu's threshold separates ink from paper. It is raised if what it finds lies along
   the edge of the picture, as ruled lines, shadows and desks do.
5. Of the connected components, the digit is the one that is long and strong and lies
   clear of the edge. If it is small, start again with its surroundings alone.
6. Widen thin strokes. Then, as MNIST was made (Yadav and Bottou, arXiv 1905.10498):
   scale to 20 pixels, brightest 255, and the centre of mass in the middle of 28x28.
"""

import numpy as np
from PIL import Image, ImageFilter

SIDE = 96  # pixels of a shrunk picture's longer side
STROKE = 0.12  # the width of MNIST's strokes, as a share of the digit's longer side


def is_like_mnist(grey: np.ndarray) -> bool:
    """Return whether (H, W) uint8 has the form of each of MNIST's pictures."""
    if grey.shape != (28, 28) or not grey.any():
        return False
    centre = np.average(np.nonzero(grey), axis=1, weights=grey[grey > 0])
    return longest_side(grey) in (19, 20) and abs(centre - 14).max() < 0.6


def longest_side(pixels: np.ndarray) -> int:
    return 1 + np.ptp(np.nonzero(pixels), axis=1).max()


def scale(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Scale (H, W) in [0, 255] to `longest` pixels on its longer side, as float32."""
    image = Image.fromarray(pixels)
    size = [max(1, round(n * longest / max(image.size))) for n in image.size]
    return np.float32(image.resize(size, Image.Resampling.BICUBIC)).clip(0, 255)


def crop(pixels: np.ndarray, mask: np.ndarray, margin: float = 0) -> np.ndarray:
    """Cut out the bounding box of `mask`, and a margin in the mask's pixels."""
    k = max(pixels.shape) / max(mask.shape)  # the mask may be of the shrunk picture
    left, top, right, bottom = Image.fromarray(mask).getbbox()
    left, top = (max(0, int(k * (side - margin))) for side in (left, top))
    right, bottom = (int(np.ceil(k * (side + margin))) for side in (right, bottom))
    return pixels[top:bottom, left:right]


def dilate(image: np.ndarray, reach: int) -> np.ndarray:
    """Give each pixel of (H, W) the largest value within `reach` pixels."""
    return np.array(Image.fromarray(image).filter(ImageFilter.MaxFilter(2 * reach + 1)))


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of (H, W) bool: (H, W) int32, 0 outside."""
    labels = np.arange(1, mask.size + 1, dtype=np.int32).reshape(mask.shape) * mask
    before = None
    while not np.array_equal(labels, before):
        before = labels
        spread = dilate(labels, 1) * mask  # the largest number of a component spreads
        # Number n began at the n-th pixel: take the number that pixel has by now.
        labels = np.append(np.int32(0), spread)[spread]
    return labels


def otsu_threshold(values: np.ndarray) -> float:
    """Return the threshold that best separates values into two classes (Otsu, 1979)."""
    values = np.sort(np.float64(values), axis=None)
    n, below = np.arange(values.size), np.cumsum(values) - values
    gap = values.sum() * n - values.size * below  # between the means, times both counts
    return values[(gap**2 / np.maximum(n * (values.size - n), 1)).argmax()]


def find_sheet(small: np.ndarray) -> np.ndarray | None:
    """Return the mask (H, W) bool of a large bright or dark rectangle, or None."""
    bright = small > 0.4 * small.max()  # few shadows are that dark
    for region in (bright, ~bright):
        labels = connected_components(region)
        sheet = labels == np.bincount(labels[region], minlength=1).argmax()
        inside = crop(region, sheet)
        is_large = min(inside.shape) > SIDE / 4 and inside.size < 0.97 * small.size
        # It fills its box, as no digit does, and is nearly all there is of its kind.
        if is_large and inside.sum() > max(0.7 * inside.size, 0.9 * region.sum()):
            return sheet


def find_ink(small: np.ndarray) -> np.ndarray:
    """Return by how much each pixel differs from its paper, (H, W) float32 >= 0."""
    coarse = Image.fromarray(small).resize((33, 33), Image.Resampling.BOX)
    paper = coarse.filter(ImageFilter.MedianFilter(33))  # as large as the picture
    difference = small - paper.resize(small.shape[::-1], Image.Resampling.BILINEAR)
    is_bright = difference.max() > -difference.min()
    return np.maximum(difference if is_bright else -difference, 0)


def find_digit(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Return where the digit is, (H, W) bool, and how many others there may be."""
    threshold, found = 0.0, []
    for _ in range(3):
        threshold = otsu_threshold(ink[ink >= threshold])
        mask = ink >= threshold
        labels = connected_components(dilate(mask, 3)) * mask  # joins strokes nearby
        choices = []
        for n in np.unique(labels[mask]):
            part = labels == n
            at_edge = (part.sum() - part[1:-1, 1:-1].sum()) / longest_side(part)
            score = longest_side(part) * ink[part].mean() ** 4 * max(0.02, 1 - at_edge)
            choices.append((score, n, at_edge < 0.4))
        best, n, is_clear = max(choices)
        others = sum(score > best / 2 for score, *_ in choices) - 1
        found.append((labels == n, is_clear, others))
    digit, _, others = max(found, key=lambda choice: choice[1])  # the first clear one
    if ink[digit].mean() < 5:  # of 255 grey levels: noise
        raise ValueError("nothing to read, no ink stands out from the paper")
    return digit, others


def draw_like_mnist(ink: np.ndarray) -> np.ndarray:
    """Draw the ink (H, W) of a digit the way MNIST's were drawn, (28, 28) uint8."""
    ink = np.pad(scale(ink, 80), 8)
    mask = ink > 127
    outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    width = 2 * mask.sum() / (np.pi / 4 * outline)  # 2 area / perimeter
    ink = dilate(ink, max(0, round((STROKE * 80 - width) / 2)))
    digit = scale(crop(ink, ink > 0), 20)
    digit = np.uint8(digit / digit.max() * 255 + 0.5)
    centre = np.average(np.nonzero(digit), axis=1, weights=digit[digit > 0])
    room = 28 - np.array(digit.shape)
    before = np.clip(np.round(14 - centre), 0, room).astype(int)
    return np.pad(digit, np.stack([before, room - before], axis=1))


def prepare(grey: np.ndarray, is_close: bool = False) -> tuple[np.ndarray, int]:
    """Turn a picture (H, W) uint8 into one like MNIST's, and count other digits in it.

    Raises ValueError if there is no ink. `is_close`: it shows little but the digit.
    """
    if is_like_mnist(grey):
        return grey, 0
    small = scale(grey, SIDE)
    if max(grey.shape) > SIDE and (sheet := find_sheet(small)) is not None:
        return prepare(crop(grey, sheet, margin=-1))
    ink = find_ink(small)
    digit, others = find_digit(ink)
    length = longest_side(digit)
    if length < SIDE / 2 and not is_close:
        return prepare(crop(grey, digit, 0.3 * length), is_close=True)[0], others
    ink = np.where(digit, ink / np.percentile(ink[digit], 90) * 255, 0)
    return draw_like_mnist(crop(ink, digit)), others
