"""Make any picture of a digit look like MNIST's: 28x28, white on black, centred.

A picture that has the form of MNIST's already is left alone. For any other:

1. If it shows a sheet on a desk, or a dark square on a page, go inside.
2. Shrink it to 96 pixels. The paper is what is bright around each pixel, the 85th
   percentile; the ink is how much darker a pixel is. Bright ink is inverted first.
3. Remove ruled lines: what runs faintly from one edge of the picture to the other.
4. Otsu's threshold separates ink from paper. Of the connected components, the digit is
   the one that is long and strong and clear of the edge.
5. If it is small, look again, closer.
6. Widen thin strokes to the width of MNIST's.
7. As MNIST was made (Yadav and Bottou, arXiv 1905.10498): scale to 20 pixels, brightest
   255, and the centre of mass in the middle of 28x28.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 96  # the longer side of a shrunk picture, in pixels
STROKE = 0.12  # the width of MNIST's strokes, as a share of the digit's longer side


class NoInk(Exception):
    """There is nothing to read in a picture."""


def longest_side(pixels: np.ndarray) -> int:
    """Return the longer side of the bounding box of what is not zero."""
    rows, columns = np.nonzero(pixels)
    return 1 + max(np.ptp(rows), np.ptp(columns))  # ptp: from the least to the greatest


def centre_of_mass(pixels: np.ndarray) -> np.ndarray:
    """Return the row and the column around which the brightness balances."""
    rows, columns = np.nonzero(pixels)
    return np.average([rows, columns], axis=1, weights=pixels[rows, columns])


def scale(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Scale (H, W) in [0, 255] to `longest` pixels on its longer side, as float32."""
    image = Image.fromarray(pixels)
    ratio = longest / max(image.size)
    size = [max(1, round(ratio * side)) for side in image.size]
    image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32).clip(0, 255)


def crop(pixels: np.ndarray, mask: np.ndarray, margin: float = 0) -> np.ndarray:
    """Cut out the bounding box of `mask`, and `margin` pixels of the mask around it.

    The mask may belong to the shrunk picture.
    """
    ratio = max(pixels.shape) / max(mask.shape)
    left, top, right, bottom = Image.fromarray(mask > 0).getbbox()

    left = max(0, int(ratio * (left - margin)))
    top = max(0, int(ratio * (top - margin)))
    right = int(np.ceil(ratio * (right + margin)))
    bottom = int(np.ceil(ratio * (bottom + margin)))
    return pixels[top:bottom, left:right]


def dilate(image: np.ndarray, reach: int) -> np.ndarray:
    """Give each pixel of (H, W) the largest value within `reach` pixels."""
    return np.array(Image.fromarray(image).filter(ImageFilter.MaxFilter(2 * reach + 1)))


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Number the connected components of (H, W) bool: (H, W) int32, 0 outside."""
    labels = Image.fromarray(-np.int32(mask))  # -1: not numbered yet
    count = 0
    while len(left := np.argwhere(np.asarray(labels) == -1)):
        y, x = left[0].tolist()
        count += 1
        ImageDraw.floodfill(labels, (x, y), count)
    return np.asarray(labels)


def is_like_mnist(grey: np.ndarray) -> bool:
    """Return whether (H, W) uint8 has the form of each of MNIST's pictures."""
    if grey.shape != (28, 28) or not grey.any():
        return False
    # MNIST was centred by whole pixels, so up to half a pixel remains.
    is_centred = abs(centre_of_mass(grey) - 14).max() < 0.6
    return is_centred and longest_side(grey) in (19, 20)  # 19 in a few


def inside_sheet(grey: np.ndarray) -> np.ndarray:
    """Cut out a large bright or dark rectangle of (H, W) uint8, if there is one."""
    small = scale(grey, SIDE)
    bright = small > 0.4 * small.max()  # few shadows on paper are as dark as that
    for region in (bright, ~bright):
        labels = connected_components(region)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0  # not in the region
        sheet = labels == sizes.argmax()

        box = crop(region, sheet)  # True where the region is
        is_part = min(box.shape) > SIDE / 4 and box.size < 0.97 * small.size
        is_full = box.mean() > 0.7  # the strokes of a digit fill less
        is_alone = box.sum() > 0.9 * region.sum()  # the rest may be specks
        if is_part and is_full and is_alone:
            return crop(grey, sheet, margin=-1)  # without its edge
    return grey


def local_percentile(small: np.ndarray, percent: float, window: int) -> np.ndarray:
    """Give each pixel of (H, W) float32 a percentile of what is around it.

    The picture is divided into 25x25 cells; each gets the percentile of the
    `window` x `window` cells around it.
    """
    cells = Image.fromarray(small).resize((25, 25), Image.Resampling.BOX)
    rank = int(percent / 100 * (window**2 - 1))
    cells = cells.filter(ImageFilter.RankFilter(window, rank))

    return np.asarray(cells.resize(small.shape[::-1], Image.Resampling.BILINEAR))


def find_ink(small: np.ndarray) -> np.ndarray:
    """Return how much each pixel differs from the paper around it, (H, W) float32."""
    difference = small - local_percentile(small, 50, window=25)
    if difference.max() > -difference.min():
        small = 255 - small  # the ink, which differs most, was bright

    paper = local_percentile(small, 85, window=13)  # half as wide as the picture
    return (paper - small).clip(0)


def without_lines(ink: np.ndarray) -> np.ndarray:
    """Subtract from each row and column the ink that all of its pixels share."""
    faint = ink.max() / 3  # a stronger line may be a 1
    for axis in (1, 0):  # along the rows, then along the columns
        level = dilate(ink, 3).min(axis, keepdims=True)  # dilated: lines may tilt
        ink = np.where(level < faint, ink - level, ink).clip(0)
    return ink


def otsu_threshold(values: np.ndarray) -> float:
    """Return the threshold that best separates values into two classes (Otsu, 1979)."""
    values = np.sort(np.float64(values), axis=None)
    if values[0] == values[-1]:
        return values[0]

    n_low = np.arange(1, values.size)  # every way to cut the sorted values in two
    n_high = values.size - n_low
    sum_low = np.cumsum(values)[:-1]
    sum_high = values.sum() - sum_low

    gap = sum_high / n_high - sum_low / n_low  # between the means of the two classes
    best = (n_low * n_high * gap**2).argmax()  # the largest variance between classes
    return values[best + 1]


def find_digit(grey: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the ink of the digit, 0 elsewhere, and how many others there may be.

    From (H, W) uint8 to float32, SIDE pixels on the longer side. Raises NoInk.
    """
    ink = without_lines(find_ink(scale(grey, SIDE)))
    mask = ink >= otsu_threshold(ink)
    labels = connected_components(dilate(mask, 3)) * mask  # dilated: joins strokes

    scores = {}
    for n in np.unique(labels[mask]):
        part = labels == n
        scores[n] = longest_side(part) * ink[part].mean()
        if part.sum() > part[1:-1, 1:-1].sum():  # it touches the edge
            scores[n] *= 0.1

    best = max(scores, key=scores.get)
    digit = np.where(labels == best, ink, 0)
    if digit.max() < 10:  # of 255 grey levels
        raise NoInk("nothing to read, no ink stands out from the paper")

    others = sum(score > scores[best] / 2 for score in scores.values()) - 1
    height, width = crop(digit, digit).shape
    if width > 1.5 * height:  # several that touch: no digit is so wide
        others += 1
    return digit, others


def look_closer(page: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """Return a digit that is small on its page (H, W) uint8 in more detail."""
    length = longest_side(digit)
    if length >= SIDE / 2:
        return digit

    closer = inside_sheet(crop(page, digit, margin=0.3 * length))
    return find_digit(closer)[0]


def widen_strokes(digit: np.ndarray) -> np.ndarray:
    """Widen the strokes of a digit (H, W) to the width that MNIST's have."""
    side = 80  # pixels
    digit = np.pad(scale(255 * digit / digit.max(), side), 8)

    mask = digit > 127
    outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    perimeter = np.pi / 4 * outline  # an outline of pixels is 4/pi times too long
    width = 2 * mask.sum() / perimeter  # a stroke has two sides

    missing = max(0, STROKE * side - width)
    return dilate(digit, round(missing / 2))


def centre(digit: np.ndarray) -> np.ndarray:
    """Scale a digit (H, W) to 20 pixels and centre it in (28, 28) uint8."""
    digit = scale(crop(digit, digit), 20)
    digit = np.uint8(np.round(255 * digit / digit.max()))

    room = 28 - np.array(digit.shape)
    before = np.round(14 - centre_of_mass(digit)).astype(int).clip(0, room)
    return np.pad(digit, np.stack([before, room - before], axis=1))


def prepare(grey: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn a picture (H, W) uint8 into one like MNIST's, and count other digits in it.

    Raises NoInk if it is blank.
    """
    if is_like_mnist(grey):
        return grey, 0

    page = inside_sheet(grey)
    digit, others = find_digit(page)
    digit = look_closer(page, digit)
    digit = widen_strokes(crop(digit, digit))
    return centre(digit), others
