"""Images and texts as callers of inferencers, search and tools give them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mvlt.datasets.transforms.loading import read_image, to_rgb

ImageInput = str | Path | np.ndarray | Image.Image
ImageInputs = ImageInput | Sequence[ImageInput]
Texts = str | Sequence[str]
SUFFIXES = (
    *('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff'),
    *('.avif', '.heic', '.heif'),
)


def make_pairs(images: ImageInputs, texts: Texts | None) -> list[tuple[ImageInput, str]]:
    """(image, text) pairs, of equal numbers or one with many; ValueError for other numbers."""
    listed = list_images(images)
    captions = [''] if texts is None else list_texts(texts)
    if len(listed) == 1:
        listed = listed * len(captions)
    if len(captions) == 1:
        captions = captions * len(listed)
    if len(listed) != len(captions):
        raise ValueError(
            f'{len(listed)} images and {len(captions)} texts: give equal numbers, or one of either'
        )
    return list(zip(listed, captions))


def list_images(images: ImageInputs) -> list[ImageInput]:
    """A list of images, from one image, a sequence or a folder.

    Raises:
        FileNotFoundError, TypeError, ValueError: a folder without images; no images; an empty list.
    """
    if isinstance(images, str | Path) and Path(images).is_dir():
        paths = sorted(path for path in Path(images).iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise FileNotFoundError(f'{images}: no images in it ({", ".join(SUFFIXES)})')
        return list(paths)
    if isinstance(images, str | Path | Image.Image) or (
        isinstance(images, np.ndarray) and images.ndim < 4
    ):
        return [images]
    if not isinstance(images, Iterable):
        raise TypeError(
            f'images: {images!r:.60} is a {type(images).__name__}; give a path, a folder, an '
            'array, a PIL image or a list of them'
        )
    listed = list(images)
    if not listed:
        raise ValueError('no image given')
    return listed


def list_texts(texts: Texts) -> list[str]:
    """A list of texts, from one text or a sequence; TypeError or ValueError if there is none."""
    if not isinstance(texts, Iterable):
        raise TypeError(f'{texts!r:.60} is a {type(texts).__name__}; give a text or a list')
    listed = [texts] if isinstance(texts, str) else list(texts)
    for i, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f'text {i} is a {type(text).__name__}, a str is needed')
    if not listed:
        raise ValueError('no text given')
    return listed


def to_array(image: ImageInput, index: int = 0) -> np.ndarray:
    """An image as uint8 (H, W, 3), RGB.

    Args:
        image: path, PIL image, or uint8 array (H, W, 3) in RGB, (H, W, 4) or (H, W).
        index: position in the inputs, for error messages.

    Raises:
        OSError: an unreadable file.
        TypeError, ValueError: something else.
    """
    if isinstance(image, str | Path):
        return read_image(str(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
            raise ValueError(
                f'image {index}: an array of {image.dtype} {image.shape}; uint8 (H, W, 3) in RGB '
                'or (H, W) is needed'
            )
        if image.ndim == 3 and image.shape[2] == 3:
            return image
        if image.ndim == 3 and image.shape[2] != 4:
            raise ValueError(f'image {index}: {image.shape[2]} channels; 3 (RGB) are needed')
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(image)))
    raise TypeError(
        f'image {index} is a {type(image).__name__}; a path, an array or a PIL image is needed'
    )
