"""Images of any format to RGB arrays."""

import warnings
from collections.abc import Container
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import IO, Literal, get_args

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps, UnidentifiedImageError

from mvlt.registry import TRANSFORMS

Shape = Literal['as_is', 'padded', 'cropped']


# What shops and cameras write. Pillow knows more, but its EPS reader starts Ghostscript, and a few
# bytes of JPEG 2000 take seconds to decode.
FORMATS = ('JPEG', 'MPO', 'PNG', 'WEBP', 'AVIF', 'HEIF', 'GIF', 'BMP', 'TIFF')


def read_image(
    path: str | IO[bytes], max_pixels: int = 50_000_000, at_least: int | None = None
) -> np.ndarray:
    """Decode an image to uint8 (H, W, 3), RGB: the first frame of an animation.

    Transparency becomes white, as shops show it; 16-bit grey is scaled to 8 bits; the EXIF
    orientation is applied; Pillow converts palettes, CMYK and other modes.

    Args:
        path: a file in one of :data:`FORMATS`, whatever its name.
        max_pixels: refuse larger images, before decoding.
        at_least: decode a JPEG at 1/2, 1/4 or 1/8 of its size if both sides keep so many pixels.
            The decoder averages its blocks, in a fraction of the time.

    Raises:
        OSError: the file is missing, truncated, no image or too large; the message names it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with open_image(path, max_pixels) as opened:
                if at_least is not None:
                    opened.draft('', (at_least, at_least))
                return np.asarray(to_rgb(ImageOps.exif_transpose(opened)))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such image') from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise RuntimeError, EOFError, struct.error ...
        raise OSError(
            f'{path}: unreadable image ({error}); replace the file or delete its row'
        ) from error


def open_image(path: str | IO[bytes], max_pixels: int) -> Image.Image:
    """Open an image without decoding it, by its content alone.

    Raises:
        OSError: another format than :data:`FORMATS`, or more pixels.
    """
    _register_heic()
    try:
        opened = Image.open(path, formats=[name for name in FORMATS if name in _readers()])
    except Image.DecompressionBombError as error:
        raise OSError(f'more pixels than the limit of {max_pixels}') from error
    except UnidentifiedImageError as error:
        raise OSError(f'{error}; legal: {", ".join(FORMATS)}, HEIF by mvlt[heic]') from error
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # as in read_image
        raise OSError(f'unreadable image ({error})') from error
    if opened.width * opened.height > max_pixels:
        opened.close()
        raise OSError(
            f'{opened.width} x {opened.height} pixels are more than the limit of {max_pixels}'
        )
    return opened


def _readers() -> Container[str]:
    Image.init()
    return Image.OPEN


@lru_cache
def _register_heic() -> None:
    """Let Pillow read HEIF, if the package is there."""
    with suppress(ImportError):
        import_module('pillow_heif').register_heif_opener()


def to_rgb(image: Image.Image) -> Image.Image:
    """Mode RGB; transparency on white, 16-bit grey scaled to 8 bits."""
    if image.mode.startswith(('I', 'F')):
        values = np.asarray(image, dtype=np.float64)
        scale = 255 / 65535 if values.max(initial=0) > 255 else 1
        return Image.fromarray((values * scale).clip(0, 255).astype(np.uint8)).convert('RGB')
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        return Image.alpha_composite(white, image).convert('RGB')
    return image.convert('RGB')


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """``img_path`` -> ``img`` uint8 (H, W, 3), RGB; a record that has ``img`` keeps it.

    mmcv's LoadImageFromFile gives BGR and makes transparency black instead.

    Args:
        max_pixels: refuse larger images (decompression bombs).
        side: shrink images to this shorter side, in pixels, also those that come as ``img``; None
            keeps their size.
        shape: 'as_is'; 'padded' with white to a square; 'cropped' to the central square. Squares
            keep their aspect in a later Resize. A model's folder stores the shape.
        draft: decode JPEGs no larger than ``side`` needs (:func:`read_image`). Pixels differ
            slightly from those of the whole image made smaller.
        cache_size: decoded images that stay in memory, the first ones read: for small catalogues.
            10,000 of 112 x 112 pixels take 376 MB in each data worker.
    """

    def __init__(
        self,
        max_pixels: int = 50_000_000,
        side: int | None = None,
        shape: Shape = 'as_is',
        draft: bool = False,
        cache_size: int = 0,
    ) -> None:
        if shape not in get_args(Shape):
            raise ValueError(f"LoadImage.shape='{shape}'; legal: {', '.join(get_args(Shape))}")
        if side is not None and side < 1:
            raise ValueError(f'LoadImage.side={side}: a positive number of pixels, or None')
        if draft and side is None:
            raise ValueError('LoadImage.draft needs side: the shorter side, in pixels')
        self.max_pixels = max_pixels
        self.at_least = side if draft else None
        self.side = side
        self.shape = shape
        self.cache_size = cache_size
        self._cache: dict[str, np.ndarray] = {}

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape``, as mmcv's transforms expect them."""
        if 'img' in results:
            results['img'] = self._fitted(results['img'])
        else:
            results['img'] = self._read(results['img_path'])
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        if path in self._cache:
            return self._cache[path]
        image = self._fitted(read_image(path, self.max_pixels, self.at_least))
        if len(self._cache) < self.cache_size:
            self._cache[path] = image  # read-only, as Pillow gives it
        return image

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        short, long = min(height, width), max(height, width)
        if self.shape == 'cropped':
            top, left = (height - short) // 2, (width - short) // 2
            image = image[top : top + short, left : left + short]
        elif self.shape == 'padded' and short < long:
            top, left = (long - height) // 2, (long - width) // 2
            square = np.full((long, long, 3), 255, np.uint8)
            square[top : top + height, left : left + width] = image
            image = square
        short = min(image.shape[:2])
        if self.side is None or short <= self.side:
            return image
        height, width = (round(length * self.side / short) for length in image.shape[:2])
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized)
