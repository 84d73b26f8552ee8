"""What a caller may hand in: pictures and texts of every kind."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mvlt.datasets.transforms.loading import read_image, to_rgb

Picture = str | Path | np.ndarray | Image.Image
Pictures = Picture | Sequence[Picture]
Texts = str | Sequence[str]
SUFFIXES = (
    *('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff'),
    *('.avif', '.heic', '.heif'),
)


def make_pairs(images: Pictures, texts: Texts | None) -> list[tuple[Picture, str]]:
    """(picture, text) of everything that is asked about.

    Raises:
        ValueError: there is nothing, or the numbers of pictures and texts differ.
    """
    pictures = list_pictures(images)
    words = [''] if texts is None else list_texts(texts)
    if len(pictures) == 1:
        pictures = pictures * len(words)
    if len(words) == 1:
        words = words * len(pictures)
    if len(pictures) != len(words):
        raise ValueError(
            f'{len(pictures)} pictures and {len(words)} texts: as many of both, or one of either'
        )
    return list(zip(pictures, words))


def list_pictures(images: Pictures) -> list[Picture]:
    """A list of what can be one picture, a list, or a folder.

    Raises:
        FileNotFoundError, ValueError: a folder without pictures; an empty list.
    """
    if isinstance(images, str | Path) and Path(images).is_dir():
        paths = sorted(path for path in Path(images).iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise FileNotFoundError(f'{images}: no pictures in it ({", ".join(SUFFIXES)})')
        return list(paths)
    if isinstance(images, str | Path | Image.Image) or (
        isinstance(images, np.ndarray) and images.ndim < 4
    ):
        return [images]
    if not isinstance(images, Iterable):
        raise TypeError(
            f'pictures: {images!r:.60} is a {type(images).__name__}; a path, a folder, an array, a '
            'PIL image or a list of them is needed'
        )
    found = list(images)
    if not found:
        raise ValueError('no picture is given')
    return found


def list_texts(texts: Texts) -> list[str]:
    """A list of what can be one text or a list.

    Raises:
        TypeError, ValueError: something that is no text; an empty list.
    """
    if not isinstance(texts, Iterable):
        raise TypeError(f'{texts!r:.60} is a {type(texts).__name__}; a text or a list is needed')
    found = [texts] if isinstance(texts, str) else list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f'text {place} is a {type(text).__name__}, a str is needed')
    if not found:
        raise ValueError('no text is given')
    return found


def to_array(image: Picture, place: int = 0) -> np.ndarray:
    """A picture as uint8 (H, W, 3), RGB.

    Args:
        image: path, PIL image, or uint8 array (H, W, 3) in RGB, (H, W, 4) or (H, W).
        place: in the inputs, for the message.

    Raises:
        OSError: an unreadable file.
        TypeError, ValueError: something else.
    """
    if isinstance(image, str | Path):
        return read_image(str(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
            raise ValueError(
                f'picture {place}: an array of {image.dtype} {image.shape}; uint8 (H, W, 3) in RGB '
                'or (H, W) is needed'
            )
        if image.ndim == 3 and image.shape[2] == 3:
            return image
        if image.ndim == 3 and image.shape[2] != 4:
            raise ValueError(f'picture {place}: {image.shape[2]} colours; 3 (RGB) are needed')
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(image)))
    raise TypeError(
        f'picture {place} is a {type(image).__name__}; a path, an array or a PIL image is needed'
    )
