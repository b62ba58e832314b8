"""Make anybody's picture of a digit like MNIST's: 28x28 pixels, white on black, centred.

1. A picture that is like MNIST's already is taken as it is. Shrink others to 96 pixels.
2. If there is a sheet on a desk, or a dark square on a page, begin again inside it.
3. The paper is the median of each pixel's surroundings. What differs from it is ink:
   dark or bright ink, whichever differs more.
4. Otsu's threshold tells ink from paper. Raise it while what it finds lies along the
   edge of the picture, as ruled lines, shadows and desks do.
5. Of the connected components, the digit is the one that is long and strong and lies
   clear of the edge. If it is small, begin again with its surroundings alone.
6. Widen strokes that are thinner than MNIST's.
7. As MNIST was made (Y. LeCun, The MNIST database; C. Yadav and L. Bottou, arXiv
   1905.10498): scale to 20 pixels, and put the centre of mass in the middle of 28x28.
"""

import numpy as np
from PIL import Image, ImageFilter

SIDE = 96  # pixels of a shrunk picture's longer side
STROKE = 0.12  # the width of MNIST's strokes, as a share of the digit's longer side
FAINTEST = 5  # grey levels between ink and paper; noise differs less


def is_like_mnist(grey: np.ndarray) -> bool:
    """Tell whether a picture is as MNIST's 70,000 are: 28x28, on black, centred."""
    if grey.shape != (28, 28) or not grey.any():
        return False
    places = np.nonzero(grey)
    longest = 1 + np.ptp(places, axis=1).max()
    centre = np.average(places, axis=1, weights=grey[places])
    return longest in (19, 20) and bool(abs(centre - 14).max() < 0.6)


def scale(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Scale (H, W) in [0, 255] to `longest` pixels on its longer side, as float32."""
    image = Image.fromarray(pixels)
    size = [max(1, round(n * longest / max(image.size))) for n in image.size]
    return np.float32(image.resize(size, Image.Resampling.BICUBIC)).clip(0, 255)


def dilate(pixels: np.ndarray, reach: int) -> np.ndarray:
    """Give each pixel of (H, W) the largest value within `reach` pixels."""
    return np.array(Image.fromarray(pixels).filter(ImageFilter.MaxFilter(2 * reach + 1)))


def crop(pixels: np.ndarray, box: tuple, margin: float = 0, k: float = 1) -> np.ndarray:
    """Cut out a box and a margin around it, both in units of k pixels."""
    left, top = np.maximum(0, k * (np.array(box[:2]) - margin)).astype(int)
    right, bottom = np.ceil(k * (np.array(box[2:]) + margin)).astype(int)
    return pixels[top:bottom, left:right]


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of (H, W) bool: (H, W) int32, 0 is outside."""
    labels = np.arange(1, mask.size + 1, dtype=np.int32).reshape(mask.shape) * mask
    while True:  # the largest number of each component spreads
        spread = dilate(labels, 1) * mask
        # Number n began at the n-th pixel: jump to the number which that has by now.
        spread = np.append(np.int32(0), spread)[spread]
        if np.array_equal(spread, labels):
            return labels
        labels = spread


def otsu_threshold(values: np.ndarray) -> float:
    """Return where to split values for the largest variance between the two classes.

    N. Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    counts, edges = np.histogram(values, 256)
    below, total = counts.cumsum(), counts.sum()
    mass = (counts * (edges[1:] + edges[:-1]) / 2).cumsum()
    gap = mass[-1] * below - total * mass  # between the classes' means, not yet divided
    return edges[1:][(gap**2 / np.maximum(below * (total - below), 1)).argmax()]


def find_sheet(small: np.ndarray) -> tuple | None:
    """Return left, top, right, bottom of a sheet on a desk or a dark square, if any."""
    bright = small > 0.4 * small.max()  # few shadows are that dark
    for region in (bright, ~bright):
        labels = connected_components(region)
        sheet = labels == np.bincount(labels[region], minlength=1).argmax()
        left, top, right, bottom = Image.fromarray(sheet).getbbox()
        width, height = right - left, bottom - top
        # It fills its box, as no digit does, and is nearly all there is of its kind.
        is_sheet = sheet.sum() > max(0.7 * width * height, 0.9 * region.sum())
        if is_sheet and SIDE / 4 < min(width, height) < 0.97 * min(small.shape):
            return left, top, right, bottom
    return None


def find_ink(small: np.ndarray) -> np.ndarray:
    """Return by how much each pixel differs from its paper, (H, W) float32 >= 0."""
    coarse = Image.fromarray(small).resize((33, 33), Image.Resampling.BOX)
    paper = coarse.filter(ImageFilter.MedianFilter(33))  # as large as the picture
    difference = small - paper.resize(small.shape[::-1], Image.Resampling.BILINEAR)
    is_bright = difference.max() > -difference.min()
    return np.maximum(difference if is_bright else -difference, 0)


def choose_component(mask: np.ndarray, ink: np.ndarray) -> tuple[np.ndarray, bool, int]:
    """Return the likeliest digit, whether it lies along the edge, and how many others."""
    labels = connected_components(dilate(mask, 3)) * mask  # joined with near ones
    choices = []
    for n in np.unique(labels[mask]):
        part = labels == n
        left, top, right, bottom = Image.fromarray(part).getbbox()
        length = max(right - left, bottom - top)
        at_edge = (part.sum() - part[1:-1, 1:-1].sum()) / length
        score = length * ink[part].mean() ** 2 * max(0.02, 1 - at_edge)
        choices.append((score, n, at_edge > 0.25))
    score, n, is_at_edge = max(choices)
    return labels == n, is_at_edge, sum(other > score / 2 for other, *_ in choices) - 1


def find_digit(ink: np.ndarray) -> tuple[np.ndarray, int]:
    """Return where the digit is, (H, W) bool, and how many others there may be."""
    threshold, choices = -1.0, []
    while len(choices) < 3 and (ink > threshold).any():
        threshold = otsu_threshold(ink[ink > threshold])
        choices.append(choose_component(ink > threshold, ink))
    clear = [choice for choice in choices if not choice[1]]
    digit, _, others = (clear or choices)[0]
    if ink[digit].mean() < FAINTEST:
        raise ValueError("nothing to read, no ink stands out from the paper")
    return digit, others


def widen(ink: np.ndarray) -> np.ndarray:
    """Dilate (H, W) float32 in [0, 255] until its strokes are as wide as MNIST's."""
    padded = np.pad(ink, 8)
    mask = padded > 127
    sides = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    width = 2 * mask.sum() / (np.pi / 4 * sides)  # 2 area / perimeter
    return dilate(padded, max(0, round((STROKE * max(ink.shape) - width) / 2)))


def fit(ink: np.ndarray) -> np.ndarray:
    """Scale to 20 pixels, brightest 255, centre of mass in the middle of 28x28."""
    digit = scale(crop(ink, Image.fromarray(ink > 0).getbbox()), 20)
    digit = np.uint8(digit / digit.max() * 255 + 0.5)
    places = np.nonzero(digit)
    centre = np.average(places, axis=1, weights=digit[places])
    room = 28 - np.array(digit.shape)
    before = np.int64(np.clip(np.round(14 - centre), 0, room))
    return np.pad(digit, np.stack([before, room - before], axis=1))


def prepare(grey: np.ndarray, is_close: bool = False) -> tuple[np.ndarray, int]:
    """Turn a picture (H, W) uint8 into one like MNIST's, (28, 28) uint8.

    Returns it, and how many other digits there may be; `is_close`: there is only the
    digit and what is near it. Raises ValueError where there is no ink.
    """
    if is_like_mnist(grey):
        return grey, 0
    small, k = scale(grey, SIDE), max(grey.shape) / SIDE
    if k > 1 and (sheet := find_sheet(small)):
        return prepare(crop(grey, sheet, -1, k))
    ink = find_ink(small)
    digit, others = find_digit(ink)
    left, top, right, bottom = box = Image.fromarray(digit).getbbox()
    length = max(right - left, bottom - top)
    if length < SIDE / 2 and not is_close:
        return prepare(crop(grey, box, 0.3 * length, k), is_close=True)[0], others
    ink = np.where(digit, ink / np.percentile(ink[digit], 90) * 255, 0)
    return fit(widen(scale(crop(ink, box), 80))), others
