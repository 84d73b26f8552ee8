"""Pictures of every kind to RGB arrays, the same way everywhere."""

import warnings

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps

from mvlt.registry import TRANSFORMS


def read_image(path: str, max_pixels: int = 50_000_000) -> np.ndarray:
    """Decode a picture to uint8 (H, W, 3), RGB.

    The EXIF orientation is applied; transparency is laid on white, as shops show it; 16-bit grey
    is scaled to 8 bits; palette, CMYK and the rest are converted by Pillow.

    Raises:
        OSError: the file is missing, is no picture, is cut short, or has more than ``max_pixels``
            pixels; the message names it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > max_pixels:
                    raise OSError(
                        f'{opened.width} x {opened.height} pixels are more than the limit of '
                        f'{max_pixels}'
                    )
                return np.asarray(to_rgb(ImageOps.exif_transpose(opened)))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such image') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(
            f'{path}: unreadable image ({error}); replace the file or delete its row'
        ) from error


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

    Not mmcv's LoadImageFromFile: that gives BGR, and lays transparency on black.

    Args:
        max_pixels: larger pictures are refused (decompression bombs).
    """

    def __init__(self, max_pixels: int = 50_000_000) -> None:
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape``, as mmcv's transforms expect them."""
        if 'img' not in results:
            results['img'] = read_image(results['img_path'], self.max_pixels)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results
