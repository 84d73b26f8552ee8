"""Collate samples into the model's input: stack, normalise, mask, pad.

Legend: B batch, H, W image sides, T tokens of the longest caption, u side of a masking unit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.model import BaseDataPreprocessor
from torch.nn.utils.rnn import pad_sequence

from mvlt.registry import MODELS
from mvlt.structures import mlm_labels, stream_key


def mask_to_pixels(mask: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bool (B, H / u, W / u) -> bool (B, 1, H, W), True = masked; ValueError if sizes differ."""
    height, width = size
    rows, columns = mask.shape[1:]
    if height % rows or width % columns or height // rows != width // columns:
        raise ValueError(
            f'a mask of {rows} x {columns} square units does not tile an image of {height} x '
            f'{width} pixels: put the mask after the last Resize'
        )
    unit = height // rows
    return mask.repeat_interleave(unit, 1).repeat_interleave(unit, 2)[:, None]


@MODELS.register_module()
class PairDataPreprocessor(BaseDataPreprocessor):
    """Stack, normalise and mask images; pad captions.

    Args:
        mean, std: of RGB in 0..1, three numbers each (default: ImageNet's); None = no scaling.
        pad_id: token id of [PAD].
        context_length: length of padded captions; None = the longest caption of the batch.
        attend_pad: let every token attend to [PAD], as the released code does.
        mask_fill: value of a masked pixel in 0..1, before normalisation ([ZERO] = 1e-6, paper
            footnote 2).
        mixup: share of the training steps with mixed images (mixup) for a dual encoder, and mixed
            targets (``Batch.mixed``). Pairs are not mixed. Not in the paper.
        mixup_alpha: of the beta distribution of the mixing weight.
        pad_multiple: pad captions to a multiple of so many tokens: fewer lengths, and thus graphs
            of a compiled model.
        non_blocking: copy to the device asynchronously.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = (0.485, 0.456, 0.406),
        std: Sequence[float] | None = (0.229, 0.224, 0.225),
        pad_id: int = 0,
        context_length: int | None = None,
        attend_pad: bool = False,
        mask_fill: float = 1e-6,
        mixup: float = 0.0,
        mixup_alpha: float = 0.4,
        pad_multiple: int = 1,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        if (mean is None) != (std is None):
            raise ValueError('data_preprocessor: give both mean and std, or neither')
        self.pad_id = pad_id
        self.context_length = context_length
        self.attend_pad = attend_pad
        self.pad_multiple = pad_multiple
        self.mask_fill = mask_fill
        if not 0 <= mixup <= 1:
            raise ValueError(f'data_preprocessor.mixup={mixup}: give a share from 0 to 1')
        self.mixup = mixup
        self.mixup_alpha = mixup_alpha
        self.mask_images = True  # MaskStepsHook switches it
        self.register_buffer('mean', torch.tensor(mean or (0.0,) * 3).view(3, 1, 1), False)
        self.register_buffer('std', torch.tensor(std or (1.0,) * 3).view(3, 1, 1), False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collated samples -> model input.

        Args:
            data: ``inputs`` with lists ``image`` (uint8 (3, H, W)) and ``token_ids`` (int64 (T,)),
                for more streams ``images`` and ``texts`` with such lists by name, and
                ``data_samples``, a list of PairDataSample.
            training: allow mixup; masking follows the samples.

        Returns:
            ``inputs``: ``image`` float (B, 3, H, W), normalised and masked; ``pixels`` uint8
            (B, 3, H, W), unmasked; ``image_mask`` bool (B, H / u, W / u), of features (B, N, D), or
            None; ``token_ids`` int64 (B, T); ``text_mask`` bool (B, T) or None (attend to all);
            ``whole_image`` and ``whole_token_ids``, unmasked, if the batch is masked; ``mixed``,
            (partner int64 (B,), share), if ``whole_image`` is mixed; ``step`` of the training, if
            it is in ``data``; ``images`` and ``texts``: name -> these keys of another stream.
            ``data_samples``, unchanged, on the host.

        Raises:
            ValueError: images of unequal size; a caption longer than ``context_length``.
        """
        samples, listed = data['data_samples'], data['inputs']
        inputs = {
            **self._image_stream(listed['image'], samples),
            **self._text_stream(listed['token_ids'], samples),
        }
        if 'step' in data:
            inputs['step'] = data['step']
        if training and self._mixes(data.get('step', 0)):
            self._mixup(inputs)
        for key, read in (('images', self._image_stream), ('texts', self._text_stream)):
            if key in listed:
                streams = listed[key].items()
                inputs[key] = {name: read(values, samples, name) for name, values in streams}
        return dict(inputs=inputs, data_samples=samples)

    def _image_stream(
        self, images: Sequence[torch.Tensor], samples: Sequence[Any], name: str = 'image'
    ) -> dict[str, Any]:
        pixels = self._stack_images(self.cast_data(images), name)
        image_mask = self.cast_data(self._stack_masks(samples, stream_key(name, 'image_mask')))
        stream = dict(
            pixels=pixels, image_mask=image_mask, image=self.normalise(pixels, image_mask)
        )
        if image_mask is not None:
            stream['whole_image'] = self.normalise(pixels)
        return stream

    def _text_stream(
        self, token_ids: Sequence[torch.Tensor], samples: Sequence[Any], name: str = 'text'
    ) -> dict[str, Any]:
        # on the host: reading back from the device would wait for it
        ids = self.pad(token_ids)
        host = dict(token_ids=ids, text_mask=self.text_mask(ids))
        key = stream_key(name, 'mlm_labels')
        if samples and all(key in sample for sample in samples):
            labels = mlm_labels(samples, ids, key)
            host['whole_token_ids'] = torch.where(labels >= 0, labels, ids)
        return self.cast_data(host)

    def captions(
        self, token_ids: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Int64 (T_i,) each, on the host -> :meth:`pad` and :meth:`text_mask`, on the device."""
        ids = self.pad(token_ids)
        return self.cast_data((ids, self.text_mask(ids)))

    def _mixes(self, step: int) -> bool:
        """Whether a step mixes: on all processes alike, since heads then gather other tensors."""
        chance = np.random.random()
        if get_world_size() > 1:
            chance = np.random.default_rng(step).random()
        return bool(chance < self.mixup)

    def _mixup(self, inputs: dict[str, Any]) -> None:
        share = np.random.beta(self.mixup_alpha, self.mixup_alpha)
        share = float(max(share, 1 - share))
        image = inputs.get('whole_image', inputs['image'])
        partner = self.cast_data(torch.from_numpy(np.random.permutation(len(image))))
        inputs['whole_image'] = torch.lerp(image[partner], image, share)
        inputs['mixed'] = (partner, share)

    def normalise(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Uint8 (B, 3, H, W) -> float (B, 3, H, W), masked units filled with [ZERO].

        Precomputed features instead of images, float (B, N, D), are only masked, with 0.

        Raises:
            ValueError: a mask for features that is not bool (B, N, D).
        """
        if pixels.is_floating_point():
            if mask is None:
                return pixels
            if mask.shape != pixels.shape:
                raise ValueError(
                    f'a mask {tuple(mask.shape)} of image units does not fit features '
                    f'{tuple(pixels.shape)}: set pipeline.mask=None, or use a mask of features'
                )
            return pixels.masked_fill(mask, 0)
        image = pixels.float().div_(255)
        if mask is not None:
            image.masked_fill_(mask_to_pixels(mask, image.shape[2:]), self.mask_fill)
        return image.sub_(self.mean).div_(self.std)

    def text_mask(self, token_ids: torch.Tensor) -> torch.Tensor | None:
        """Bool (B, T), True = a real token; None if [PAD] is attended to or absent.

        Waits for the device if ``token_ids`` are on one.
        """
        if self.attend_pad:
            return None
        real = token_ids != self.pad_id
        return None if bool(real.all()) else real

    def _stack_images(self, images: Sequence[torch.Tensor], name: str) -> torch.Tensor:
        sizes = {tuple(image.shape) for image in images}
        if len(sizes) > 1:
            raise ValueError(
                f'images of different sizes in one batch (stream {name!r}): {sorted(sizes)}; end '
                'the pipeline with Resize(scale=..., keep_ratio=False)'
            )
        return torch.stack(list(images))

    def _stack_masks(self, samples: Sequence[Any], key: str) -> torch.Tensor | None:
        if not samples or key not in samples[0] or not self.mask_images:
            return None
        return torch.stack([sample.get(key) for sample in samples])

    def pad(self, token_ids: Sequence[torch.Tensor]) -> torch.Tensor:
        """Captions int64 (T_i,) -> int64 (B, T), filled with [PAD]."""
        padded = pad_sequence(list(token_ids), batch_first=True, padding_value=self.pad_id)
        if self.context_length is None:
            missing = -padded.shape[1] % self.pad_multiple
            return torch.nn.functional.pad(padded, (0, missing), value=self.pad_id)
        if padded.shape[1] > self.context_length:
            raise ValueError(
                f'a caption of {padded.shape[1]} tokens, but data_preprocessor.context_length='
                f'{self.context_length}: lower max_length of Tokenize'
            )
        missing = self.context_length - padded.shape[1]
        return torch.nn.functional.pad(padded, (0, missing), value=self.pad_id)
