"""The base of all inferencers: inputs, batches, precision, visualization."""

import inspect
import io
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from PIL import Image
from rich.progress import track

from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.loading import OpenedModel, list_models, open_model
from mvlt.datasets import PackPairInputs, Pipeline
from mvlt.datasets.inputs import ImageInputs, Texts, make_pairs, to_array
from mvlt.deadline import check
from mvlt.files import written_whole
from mvlt.structures import PairDataSample

DType = Literal['float32', 'bfloat16']


def whole_number(name: str, value: Any) -> int:
    """A count of 1 or more, else ValueError."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r}; give a whole number of 1 or more')
    return int(value)


class PairInferencer(BaseInferencer):
    """Applies a trained model to image-text pairs, in mmengine's protocol.

    Args:
        model: a model folder (``tools/model_converters/publish.py``), a checkpoint, a config (file
            or name of :func:`mvlt.list_models`) with ``weights``; or a model of
            :func:`mvlt.checkpoints.open_model`, to share between inferencers.
        weights: a checkpoint of that config.
        device: 'cpu', 'cuda', ...; None = a GPU if there is one.
        dtype: 'bfloat16' computes under autocast; predictions stay float32.
        show_progress: show a bar for calls of several batches.

    Raises:
        FileNotFoundError, ValueError: no such model, or a required head is missing.
    """

    preprocess_kwargs: set = set()
    forward_kwargs: set = set()
    visualize_kwargs: set = {'show', 'out_dir'}
    postprocess_kwargs: set = set()

    def __init__(
        self,
        model: str | Path | OpenedModel,
        weights: str | None = None,
        device: str | None = None,
        dtype: DType = 'float32',
        show_progress: bool = True,
    ) -> None:
        # no super().__init__: mmengine's unpickles the checkpoint and runs the config in it
        if dtype not in ('float32', 'bfloat16'):
            raise ValueError(f"dtype='{dtype}'; legal: float32, bfloat16")
        opened = model
        if isinstance(opened, OpenedModel):
            opened = opened.only(self.heads_of(opened.description))
        else:
            opened = open_model(str(model), weights, device or get_device(), self.heads_of)
        self.model = opened.model
        self.description = opened.description
        self.tokenizer = opened.tokenizer
        self.dtype = getattr(torch, dtype)
        self.show_progress = show_progress
        self.scope = 'mvlt'
        self.cfg = opened.description._asdict()
        self.pipeline = self._init_pipeline(opened.transforms)
        self.collate_fn = pseudo_collate
        self.visualizer = None

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """Names of the required heads, which alone are built; ValueError if one is missing."""
        return []

    @staticmethod
    def list_models(pattern: str = '*') -> list[str]:
        """As :func:`mvlt.list_models`."""
        return list_models(pattern)

    def _init_pipeline(self, cfg: Any) -> Pipeline:
        return Pipeline({**cfg, 'pack': PackPairInputs()})

    def __call__(  # type: ignore[override]
        self,
        images: ImageInputs,
        texts: Texts | None = None,
        return_datasamples: bool = False,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Predictions of each pair, in the order of the inputs.

        Args:
            images: path, folder (its images by name), uint8 array (H, W, 3) in RGB or (H, W),
                PIL image, or a list of them. One image is paired with each of several texts.
            texts: a text or a list; one text is paired with each of several images; None = no text.
            return_datasamples: return PairDataSamples instead of plain dicts.
            batch_size: pairs of a batch.
            kwargs: ``show`` opens each prediction as an image, ``out_dir`` writes it there as
                ``000000.png``, ...; further options are the subclass's.

        Returns:
            ``predictions``, a list, and ``visualization``: uint8 (H, W, 3) each, None without
            ``show`` and ``out_dir``.

        Raises:
            OSError, ValueError: an unreadable image (path or index is named); different numbers of
                images and texts; an empty input.
        """
        return self.infer(make_pairs(images, texts), return_datasamples, batch_size, **kwargs)

    def infer(
        self, inputs: Sequence[Any], return_datasamples: bool, batch_size: int, **kwargs: Any
    ) -> dict[str, Any]:
        """mmengine's inference workflow over a list of inputs."""
        whole_number('batch_size', batch_size)
        pre, forward, visualize, post = self._dispatch_kwargs(**kwargs)
        preds: list[PairDataSample] = []
        batches = self.preprocess(inputs, batch_size, **pre)
        for data in self.track(batches, -(-len(inputs) // batch_size)):
            check()
            preds.extend(self.forward(data, **forward))
        visualization = self.visualize(list(inputs), preds, **visualize)
        return self.postprocess(preds, visualization, return_datasamples, **post)

    def _dispatch_kwargs(self, **kwargs: Any) -> tuple[dict, dict, dict, dict]:
        """mmengine's, with an error for an unknown option."""
        legal = self.preprocess_kwargs | self.forward_kwargs
        legal |= self.visualize_kwargs | self.postprocess_kwargs
        parameters = inspect.signature(type(self)).parameters
        for name in kwargs:
            if name in parameters:
                raise ValueError(
                    f'{name} is an option of {type(self).__name__}({name}=...), not of a call'
                )
            if name not in legal:
                raise ValueError(
                    f"{type(self).__name__}: a call has no option '{name}'; legal: "
                    f'{", ".join(sorted(legal))}; of its constructor: {", ".join(parameters)}'
                )
        return super()._dispatch_kwargs(**kwargs)

    def track(self, batches: Iterable, total: int) -> Iterable:
        """``batches`` with a progress bar, for several batches."""
        if not self.show_progress or total < 2:
            return batches
        return track(batches, type(self).__name__, total=total)

    def preprocess(  # type: ignore[override]
        self, inputs: Sequence[Any], batch_size: int = 1
    ) -> Iterator[dict]:
        """Batches of packed samples of :meth:`record`."""
        for start in range(0, len(inputs), batch_size):
            block = enumerate(inputs[start : start + batch_size], start)
            yield self.collate_fn([self.pipeline(self.record(pair, i)) for i, pair in block])

    def record(self, pair: Any, index: int) -> dict[str, Any]:
        """The pipeline's record for an (image, text) input; ``index`` is named in errors."""
        image, text = pair
        path = dict(img_path=str(image)) if isinstance(image, str | Path) else {}
        return dict(img=to_array(image, index), caption=text, **path)

    def autocast(self) -> torch.autocast:
        """Autocast to ``dtype``."""
        device = self.model.data_preprocessor.device
        return torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def forward(self, inputs: Any, **kwargs: Any) -> list[Any]:
        """Samples with the model's predictions."""
        data = self.model.data_preprocessor(inputs)
        with self.autocast():
            return self.model(**data, mode='predict')

    def visualize(  # type: ignore[override]
        self,
        inputs: list,
        preds: list[Any],
        show: bool = False,
        out_dir: str | Path | None = None,
    ) -> list[np.ndarray] | None:
        """Each prediction as an image, uint8 (H, W, 3); None without ``show`` and ``out_dir``."""
        if not show and out_dir is None:
            return None
        from mvlt.visualization.sheet import Section, draw  # slow to import

        images = []
        for number, (item, pred) in enumerate(zip(inputs, preds)):
            png = draw(Section('', type(self).__name__, '', self.rows(item, pred)))
            image = Image.open(io.BytesIO(png)).convert('RGB')
            if out_dir is not None:
                with written_whole(Path(out_dir, f'{number:06}.png')) as file:
                    file.write(png)
            if show:
                image.show()
            images.append(np.asarray(image))
        return images

    @abstractmethod
    def rows(self, item: Any, pred: Any) -> tuple:
        """Rows of :mod:`mvlt.visualization.sheet` for an input and its prediction."""

    def postprocess(  # type: ignore[override]
        self,
        preds: list[Any],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
    ) -> dict[str, Any]:
        """``predictions``, as they are or as plain dicts, and ``visualization``."""
        predictions = preds if return_datasamples else [self.plain(pred) for pred in preds]
        return dict(predictions=predictions, visualization=visualization)

    @abstractmethod
    def plain(self, pred: Any) -> Mapping[str, Any]:
        """A prediction as a dict."""
