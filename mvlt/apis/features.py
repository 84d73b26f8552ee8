"""What a model makes of a product, as vectors for other programs."""

from typing import Any

import torch

from mvlt.apis.base import PairInferencer
from mvlt.checkpoints.description import ModelDescription
from mvlt.models import Features


class FeatureExtractor(PairInferencer):
    """[CLS] of the last stage, or all maps and sequences; see :class:`PairInferencer`.

    Picture and text are read together, so a vector is of the pair; without a text, of the picture.
    A dual encoder reads each alone and has no ``cls``. Of a model with a head ``itc`` also
    ``image_embed`` and ``text_embed``, of the picture alone and of the text alone, float32 (D,)
    of length 1, whose product is their similarity.

    Examples:
        >>> FeatureExtractor('MODEL')('shoe.jpg')['predictions'][0]['cls'].shape
        torch.Size([512])
    """

    forward_kwargs: set = {'stages'}

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """The one that makes vectors, if it is there."""
        return description.that_give('embedding')

    @torch.no_grad()
    def forward(  # type: ignore[override]
        self, inputs: Any, stages: bool = False
    ) -> list[dict[str, Any]]:
        """Features of a batch.

        Args:
            inputs: packed samples.
            stages: also ``images``, maps (C_i, H_i, W_i), and ``texts``, sequences (T, C_i) without
                [PAD], of every stage.

        Returns:
            A dict a pair: ``cls`` float32 (C,) on the CPU where the encoder is joint, the vectors
            where a head gives them, and with ``stages`` the others.
        """
        lengths = [len(ids) for ids in inputs['inputs']['token_ids']]
        data = self.model.data_preprocessor(inputs)['inputs']
        features = Features(self.model, data, cls_only=not stages)
        found = {}
        with self.autocast():
            if self.model.is_joint:
                found['cls'] = features.cls.float().cpu()
            if self.model.gives('embedding'):
                names = ('image_embed', 'text_embed')
                found.update({name: one.cpu() for name, one in zip(names, features.vectors)})
            if stages:
                images, texts = (
                    features.pair if self.model.is_joint else (features.image, features.text)
                )
        if not all(values.isfinite().all() for values in found.values()):
            raise ValueError('the features are no numbers: the model has diverged; take another')
        each = [{name: values[i] for name, values in found.items()} for i in range(len(lengths))]
        if not stages:
            return each
        return [
            dict(
                each[i],
                images=[one[i].float().cpu() for one in images],
                texts=[one[i, :length].float().cpu() for one in texts],
            )
            for i, length in enumerate(lengths)
        ]

    def rows(self, item: Any, pred: Any) -> tuple:
        """Vectors are not drawn."""
        raise ValueError('FeatureExtractor draws nothing: leave out show and out_dir')

    def plain(self, pred: Any) -> Any:
        """As they are."""
        return pred
