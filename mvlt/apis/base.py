"""What the inferencers share: inputs of every kind, batches, precision, pictures of the answers."""

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
from mvlt.checkpoints.opening import OpenedModel, open_model
from mvlt.datasets import PackPairInputs, Pipeline
from mvlt.datasets.inputs import Pictures, Texts, make_pairs, to_array
from mvlt.deadline import check
from mvlt.files import written_whole
from mvlt.structures import PairDataSample

DType = Literal['float32', 'bfloat16']


def whole_number(name: str, value: Any) -> int:
    """A number of things, 1 or more.

    Raises:
        ValueError: something else.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r}: a whole number is needed, one at least')
    return int(value)


class PairInferencer(BaseInferencer):
    """Ask a trained model about pictures, texts or pairs of them; mmengine's workflow.

    Args:
        model: a folder of ``tools/model_converters/publish.py``, a checkpoint of a training, or a
            config (file or name of :func:`mvlt.list_models`) with ``weights``; or what
            :func:`mvlt.checkpoints.open_model` has opened, once for several inferencers.
        weights: a checkpoint of that config.
        device: 'cpu', 'cuda', ...; None = a GPU where there is one.
        dtype: 'bfloat16' computes under autocast; answers are float32 either way.
        show_progress: a bar for calls of more than one batch.
        batch_size: pairs at once.

    Raises:
        FileNotFoundError, ValueError: no such model, or it has none of the heads that are needed.
    """

    heads: tuple[str, ...] = ()  # names of those that must be there; others are not built
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
        batch_size: int = 32,
    ) -> None:
        # mmengine's own constructor would unpickle the checkpoint and run the config in it
        if dtype not in ('float32', 'bfloat16'):
            raise ValueError(f"dtype='{dtype}'; legal: float32, bfloat16")
        self.batch_size = whole_number('batch_size', batch_size)
        opened = model
        if isinstance(opened, OpenedModel):
            opened = opened.only(self.heads_of(opened.description))
        else:
            opened = open_model(str(model), weights, device or get_device(), self.heads_of)
        self.model = opened.model
        self.description = opened.description
        self.vocabulary = opened.vocabulary
        self.dtype = getattr(torch, dtype)
        self.show_progress = show_progress
        self.scope = 'mvlt'
        self.cfg = opened.description._asdict()
        self.pipeline = self._init_pipeline(opened.transforms)
        self.collate_fn = pseudo_collate
        self.visualizer = None

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """Names of the heads that this asks.

        Raises:
            ValueError: the model lacks one.
        """
        for name in cls.heads:
            if name not in description.heads:
                raise ValueError(description.lacks(f"head '{name}'"))
        return list(cls.heads)

    def _init_pipeline(self, cfg: Any) -> Pipeline:
        """Transforms of the model and packing."""
        return Pipeline({**cfg, 'pack': PackPairInputs()})

    def __call__(  # type: ignore[override]
        self,
        images: Pictures,
        texts: Texts | None = None,
        return_datasamples: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answers, one a pair, in the order of the inputs.

        Args:
            images: path, folder (its pictures by name), uint8 array (H, W, 3) in RGB or (H, W),
                PIL image, or a list of them. One picture goes with each of several texts.
            texts: a text or a list; one text goes with each of several pictures; None = no words.
            return_datasamples: give PairDataSamples instead of plain dicts.
            kwargs: ``show`` opens each answer as a picture, ``out_dir`` writes it there as
                ``000000.png``, ...; others are the subclass's.

        Raises:
            OSError, ValueError: a picture cannot be read (its path or place is named); the numbers
                of pictures and texts differ; nothing is asked.
        """
        return self.answer(make_pairs(images, texts), return_datasamples, **kwargs)

    def answer(self, inputs: Sequence[Any], return_datasamples: bool, **kwargs: Any) -> list[Any]:
        """mmengine's workflow over a list of inputs."""
        pre, forward, visualize, post = self._dispatch_kwargs(**kwargs)
        preds: list[PairDataSample] = []
        batches = self.preprocess(inputs, self.batch_size, **pre)
        for data in self.track(batches, -(-len(inputs) // self.batch_size)):
            check()
            preds.extend(self.forward(data, **forward))
        visualization = self.visualize(list(inputs), preds, **visualize)
        return self.postprocess(preds, visualization, return_datasamples, **post)

    def _dispatch_kwargs(self, **kwargs: Any) -> tuple[dict, dict, dict, dict]:
        """mmengine's; an option that a call does not know is said in a line."""
        legal = self.preprocess_kwargs | self.forward_kwargs
        legal |= self.visualize_kwargs | self.postprocess_kwargs
        own = inspect.signature(type(self)).parameters
        for name in kwargs:
            if name in own:
                raise ValueError(
                    f'{name} is an option of {type(self).__name__}({name}=...), not of a call'
                )
            if name not in legal:
                raise ValueError(
                    f"{type(self).__name__}: a call has no option '{name}'; legal: "
                    f'{", ".join(sorted(legal))}; when it is made: {", ".join(own)}'
                )
        return super()._dispatch_kwargs(**kwargs)

    def track(self, batches: Iterable, total: int) -> Iterable:
        """``batches`` with a bar, if one is wanted and there are several."""
        if not self.show_progress or total < 2:
            return batches
        return track(batches, type(self).__name__, total=total)

    def preprocess(  # type: ignore[override]
        self, inputs: Sequence[Any], batch_size: int = 1
    ) -> Iterator[dict]:
        """Batches of packed samples; an input is what :meth:`record` takes."""
        for start in range(0, len(inputs), batch_size):
            block = enumerate(inputs[start : start + batch_size], start)
            yield self.collate_fn([self.pipeline(self.record(one, place)) for place, one in block])

    def record(self, one: Any, place: int) -> dict[str, Any]:
        """An input, (picture, text), as the pipeline takes it; ``place`` is for messages."""
        image, text = one
        path = dict(img_path=str(image)) if isinstance(image, str | Path) else {}
        return dict(img=to_array(image, place), caption=text, **path)

    def autocast(self) -> torch.autocast:
        """The context that ``dtype`` asks for."""
        device = self.model.data_preprocessor.device
        return torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def forward(self, inputs: Any, **kwargs: Any) -> list[Any]:
        """Samples with the model's answers."""
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
        """Each answer as a picture, uint8 (H, W, 3); None where nobody wants to see it."""
        if not show and out_dir is None:
            return None
        from mvlt.visualization.sheet import Section, draw  # slow to import

        drawn = []
        for number, (one, pred) in enumerate(zip(inputs, preds)):
            png = draw(Section('', type(self).__name__, '', self.rows(one, pred)))
            image = Image.open(io.BytesIO(png)).convert('RGB')
            if out_dir is not None:
                with written_whole(Path(out_dir, f'{number:06}.png')) as file:
                    file.write(png)
            if show:
                image.show()
            drawn.append(np.asarray(image))
        return drawn

    @abstractmethod
    def rows(self, one: Any, pred: Any) -> tuple:
        """Rows of :mod:`mvlt.visualization.sheet` for an input and its answer."""

    def postprocess(  # type: ignore[override]
        self,
        preds: list[Any],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
    ) -> list[Any]:
        """Samples as they are, or as plain dicts."""
        return preds if return_datasamples else [self.plain(one) for one in preds]

    @abstractmethod
    def plain(self, pred: Any) -> Mapping[str, Any]:
        """An answer as a dict."""
