"""Tensors to pictures, and pictures that a page carries inside itself."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from mvlt.models.data_preprocessor import mask_to_pixels

HIDDEN = 190  # the grey of what is hidden


def to_array(pixels: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) of uint8 (H, W, 3) or (3, H, W), or of float (3, H, W), 0 to 1."""
    array = pixels.detach().cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    if array.shape[0] == 3 and array.shape[-1] != 3:
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8:
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return array


def hide(pixels: np.ndarray, mask: np.ndarray | torch.Tensor) -> np.ndarray:
    """Uint8 (H, W, 3) with the hidden units of ``mask``, bool (H / u, W / u), in grey."""
    mask = torch.as_tensor(mask).cpu()
    shown = pixels.copy()
    shown[mask_to_pixels(mask[None], pixels.shape[:2])[0, 0].numpy()] = HIDDEN
    return shown


def picture_uri(pixels: np.ndarray | torch.Tensor, side: int = 160) -> str:
    """A PNG data URI, enlarged in whole steps so that pixels stay sharp.

    Args:
        pixels: see :func:`to_array`.
        side: at least so many pixels wide, if a whole factor below 8 reaches it.
    """
    image = Image.fromarray(to_array(pixels))
    factor = min(8, max(1, -(-side // image.width)))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, 'png', optimize=True)
    return bytes_uri(buffer.getvalue(), 'image/png')


def bytes_uri(content: bytes, kind: str) -> str:
    """A data URI of any content."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
