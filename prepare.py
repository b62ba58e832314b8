"""Make any picture of a digit look like MNIST's: 28x28, white on black, centred.

1. Sheet: of a sheet on a desk, or a dark square on a page, keep only the inside.
2. Ink is how much darker a pixel is than the paper around it; bright ink is inverted.
3. Lines: faint ones that run from edge to edge of the picture are taken away.
4. Digit: Otsu's threshold separates ink from paper. Of the connected components, the
   digit is the one that is tall and strong and clear of the edge.
5. Closer: steps 1 to 4 again, on the digit and what is around it.
6. Width: thin strokes are widened to the width of MNIST's.
7. Centre: as MNIST was made (Yadav and Bottou, arXiv 1905.10498), the longer side is
   20 pixels, and the centre of mass in the middle of 28x28.

The tools are those of networks: max-pooling, average pooling, interpolation. All
pictures are (H, W) float32, from 0 for black to 1 for white; of ink, 0 means none.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 96  # pixels on the longer side of a picture in which a digit is looked for
Box = tuple[slice, slice]  # rows and columns


class NoInk(Exception):
    """There is nothing to read in a picture."""


def prepare(picture: Tensor) -> tuple[Tensor, list[str]]:
    """Return a picture like MNIST's (28, 28), and the doubts about it as sentences.

    Raises NoInk if there is nothing to read.
    """
    if is_like_mnist(picture):
        return picture / picture.max(), []

    page = inside_sheet(picture)
    digit, is_alone = find_digit(page)

    page = inside_sheet(closer(page, digit))
    digit, is_alone_closer = find_digit(page)
    pixels = centre(widen_strokes(digit))

    doubts = []
    if not (is_alone and is_alone_closer) or is_several(digit):
        doubts.append(
            "several digits, a frame or a line? Crop the picture to one digit"
        )
    if (pixels > 0.1).float().mean() > 0.32:  # 1 in 160 of MNIST's has more
        doubts.append("too much ink for a digit, crop the picture more tightly")
    return pixels, doubts


def is_like_mnist(picture: Tensor) -> bool:
    """Return whether a picture has the form of each of MNIST's."""
    if picture.shape != (28, 28):
        return False
    # MNIST was centred by whole pixels, so up to half a pixel remains.
    is_centred = (centre_of_mass(picture) - 14).abs().max() < 0.6
    return bool(is_centred) and max(trim(picture).shape) in (19, 20)  # 19 in a few


# 1. Sheet


def inside_sheet(picture: Tensor) -> Tensor:
    """Cut out a large bright or dark rectangle, if there is one."""
    small = scale(picture, SIDE)
    bright = small > 0.4 * small.quantile(0.9)  # few shadows on paper are so dark
    for region in (bright, ~bright):
        if not region.any():
            continue
        numbers = connected_components(region)
        largest = numbers == numbers[region].mode().values
        box = bounding_box(largest)
        inside = region[box]

        is_part = min(inside.shape) > SIDE / 4 and inside.numel() < 0.97 * small.numel()
        is_full = inside.float().mean() > 0.7  # the strokes of a digit fill less
        is_alone = inside.sum() > 0.9 * region.sum()  # the rest may be specks
        if is_part and is_full and is_alone:
            return cut_out(picture, box, margin=-1)  # its edge may be blurred
    return picture


# 2. Ink


def find_ink(page: Tensor) -> Tensor:
    """Return how much darker than its paper each pixel is; paper is about 0."""
    # The median is paper, because most of a picture is. Repeat the border, which is
    # paper even when a tight crop of a 1 is mostly ink.
    framed = F.pad(page[None], [SIDE // 16] * 4, mode="replicate")
    if page.max() - framed.median() > framed.median() - page.min():
        page = 1 - page  # the ink, which differs most, was bright
    return find_paper(page) - page


def find_paper(page: Tensor) -> Tensor:
    """Return how bright the paper is at each pixel.

    A pixel divides the picture into four quarters, one towards each corner. The
    brightest place in each is paper. Of the four, take the darkest: a shadow that comes
    in from one side is paper, too.
    """
    coarse = F.adaptive_avg_pool2d(page[None], 25)[0]  # (25, 25): less noise
    quarters = []
    for flips in ([], [0], [1], [0, 1]):
        brightest = coarse.flip(flips).cummax(0).values.cummax(1).values
        quarters.append(brightest.flip(flips))

    paper = torch.stack(quarters).amin(0)
    return F.interpolate(paper[None, None], page.shape, mode="bilinear")[0, 0]


# 3. Lines


def without_lines(ink: Tensor) -> Tensor:
    """Subtract from each row and column the ink that all of its pixels share."""
    faint = ink.max() / 3  # a stronger line may be a 1
    for axis in (1, 0):  # along the rows, then along the columns
        level = dilate(ink, 3).amin(axis, keepdim=True)  # dilated: lines may tilt
        ink = torch.where(level < faint, ink - level, ink).clamp(min=0)
    return ink


# 4. Digit


def find_digit(page: Tensor) -> tuple[Tensor, bool]:
    """Return the ink of the digit, and whether there is nothing else like it.

    SIDE pixels on its longer side. Raises NoInk.
    """
    ink = without_lines(find_ink(scale(page, SIDE)))
    mask = is_ink(ink)
    joined = dilate(mask.float(), 3) > 0  # strokes that nearly touch belong together
    numbers = connected_components(joined) * mask

    scores = {}
    for number in numbers[mask].unique().tolist():
        part = numbers == number
        height = len(trim(part))
        scores[number] = height * ink[part].mean().item()
        touches_edge = part.sum() > part[1:-1, 1:-1].sum()
        if touches_edge:
            scores[number] *= 0.1

    best, *others = sorted(scores, key=scores.get, reverse=True)
    digit = torch.where(numbers == best, ink, 0)
    if digit.max() < 0.04:  # of the range from black to white
        raise NoInk("nothing to read, no ink stands out from the paper")

    is_alone = not others or scores[others[0]] < scores[best] / 2
    return digit, is_alone


def is_ink(ink: Tensor) -> Tensor:
    """Return which pixels have enough ink to be part of a stroke."""
    mask = ink >= otsu_threshold(ink)
    has_block = dilate((~mask).float(), SIDE // 6).min() == 0
    if has_block:  # no stroke is so broad: a shadow, or grey paper, with the ink on it
        mask = ink >= otsu_threshold(ink[mask])
    return mask


def is_several(digit: Tensor) -> bool:
    """Return whether joined strokes are too wide, or too often tall, for one digit."""
    height, width = trim(digit).shape
    strokes = connected_components(digit > 0)
    heights = [len(trim(strokes == number)) for number in strokes[digit > 0].unique()]
    n_tall = sum(stroke > 0.7 * height for stroke in heights)
    return width > 1.5 * height or n_tall > 1


def otsu_threshold(values: Tensor) -> Tensor:
    """Return the threshold that best separates values into two classes (Otsu, 1979)."""
    values = values.flatten().sort().values
    n_low = torch.arange(1, len(values))  # every way to cut the sorted values in two
    n_high = len(values) - n_low
    sum_low = values.cumsum(0)[:-1]
    sum_high = values.sum() - sum_low

    gap = sum_high / n_high - sum_low / n_low  # between the means of the two classes
    best = (n_low * n_high * gap**2).argmax()  # the largest variance between classes
    return values[best + 1]


def connected_components(mask: Tensor) -> Tensor:
    """Give all pixels of a connected component the same number, all others 0."""
    numbers = torch.arange(1.0, mask.numel() + 1).view(mask.shape) * mask
    while True:  # in each component, the largest number spreads, a pixel at a time
        spread = dilate(numbers, 1) * mask
        if spread.equal(numbers):
            return numbers
        numbers = spread


# 5. Closer


def closer(page: Tensor, digit: Tensor) -> Tensor:
    """Cut out of a page the digit and what is around it."""
    box = bounding_box(digit)
    return cut_out(page, box, margin=0.3 * max(digit[box].shape))


# 6. Width


def widen_strokes(digit: Tensor) -> Tensor:
    """Widen the strokes of a digit to the width that MNIST's have."""
    side = 80  # pixels
    digit = F.pad(scale(trim(digit) / digit.max(), side), [8] * 4)

    mask = digit > 0.5
    outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    perimeter = torch.pi / 4 * outline  # along pixels, it is 4/pi times too long
    width = 2 * mask.sum() / perimeter  # a stroke has two sides

    missing = max(0, 0.12 * side - width.item())  # MNIST's: 0.12 of the longer side
    return dilate(digit, round(missing / 2))


# 7. Centre


def centre(digit: Tensor) -> Tensor:
    """Scale a digit to 20 pixels, and put its centre of mass at (14, 14) of 28x28."""
    digit = scale(trim(digit), 20)
    digit = digit / digit.max()

    height, width = digit.shape
    down, right = (14 - centre_of_mass(digit)).round().int().tolist()
    down = min(max(down, 0), 28 - height)
    right = min(max(right, 0), 28 - width)
    return F.pad(digit, [right, 28 - width - right, down, 28 - height - down])


def centre_of_mass(pixels: Tensor) -> Tensor:
    """Return the row and the column (2,) around which the brightness balances."""
    places = pixels.nonzero().float()  # (N, 2)
    weights = pixels[pixels != 0]
    return weights @ places / weights.sum()


# Tools


def scale(picture: Tensor, longest: int) -> Tensor:
    """Scale a picture to `longest` pixels on its longer side."""
    ratio = longest / max(picture.shape)
    size = [max(1, round(ratio * side)) for side in picture.shape]
    scaled = F.interpolate(picture[None, None], size, mode="bicubic", antialias=True)
    return scaled[0, 0].clamp(0, 1)


def dilate(pixels: Tensor, reach: int) -> Tensor:
    """Give each pixel the largest value within `reach` pixels: max-pooling."""
    for _ in range(2):  # along the rows, then the columns: faster than both at once
        pixels = F.max_pool1d(pixels, 2 * reach + 1, stride=1, padding=reach).T
    return pixels


def bounding_box(pixels: Tensor) -> Box:
    """Return the rows and the columns in which something is not zero."""
    rows, columns = pixels.nonzero(as_tuple=True)
    top, bottom = rows.min().item(), rows.max().item() + 1
    left, right = columns.min().item(), columns.max().item() + 1
    return slice(top, bottom), slice(left, right)


def cut_out(picture: Tensor, box: Box, margin: float) -> Tensor:
    """Cut out of a picture a box found at SIDE pixels, and a margin around it.

    A negative margin cuts off the edge of the box.
    """
    ratio = max(picture.shape) / SIDE
    rows, columns = (
        slice(
            max(0, int(ratio * (side.start - margin))),
            math.ceil(ratio * (side.stop + margin)),
        )
        for side in box
    )
    return picture[rows, columns]


def trim(digit: Tensor) -> Tensor:
    """Cut off the empty border of a digit."""
    return digit[bounding_box(digit)]
