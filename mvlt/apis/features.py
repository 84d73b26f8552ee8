"""Extract features and embeddings for other programs."""

from typing import Any

import torch

from mvlt.apis.base import PairInferencer
from mvlt.checkpoints.description import ModelDescription
from mvlt.models import Features


class FeatureExtractor(PairInferencer):
    """[CLS] of the last stage, embeddings, or all maps and sequences; see :class:`PairInferencer`.

    ``cls`` is of the pair of image and text; a dual encoder has none. With a head ``itc`` also
    ``image_embed`` and ``text_embed``, float32 (D,) of length 1, whose product is the similarity.

    Examples:
        >>> FeatureExtractor('MODEL')('shoe.jpg')['predictions'][0]['cls'].shape
        torch.Size([512])
    """

    forward_kwargs: set = {'stages'}

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """The embedding head, if there is one."""
        return description.that_give('embedding')

    @torch.no_grad()
    def forward(  # type: ignore[override]
        self, inputs: Any, stages: bool = False
    ) -> list[dict[str, Any]]:
        """Features of a batch.

        Args:
            inputs: packed samples.
            stages: also return ``images``, maps (C_i, H_i, W_i), and ``texts``, sequences (T, C_i)
                without [PAD], of every stage.

        Returns:
            A dict for each pair, on the CPU: ``cls`` float32 (C,) of a joint encoder, embeddings of
            a model with an embedding head, and the stages.

        Raises:
            ValueError: a feature is not finite.
        """
        lengths = [len(ids) for ids in inputs['inputs']['token_ids']]
        data = self.model.data_preprocessor(inputs)['inputs']
        features = Features(self.model, data, cls_only=not stages)
        outputs = {}
        with self.autocast():
            if self.model.is_joint:
                outputs['cls'] = features.cls.float().cpu()
            if self.model.gives('embedding'):
                image_embeds, text_embeds = features.embeds
                outputs.update(image_embed=image_embeds.cpu(), text_embed=text_embeds.cpu())
            if stages:
                images, texts = (
                    features.pair if self.model.is_joint else (features.image, features.text)
                )
        if not all(values.isfinite().all() for values in outputs.values()):
            raise ValueError('the features are not finite: the model has diverged; take another')
        preds: list[dict[str, Any]] = [
            {name: values[i] for name, values in outputs.items()} for i in range(len(lengths))
        ]
        if stages:
            for i, (pred, length) in enumerate(zip(preds, lengths)):
                pred['images'] = [stage[i].float().cpu() for stage in images]
                pred['texts'] = [stage[i, :length].float().cpu() for stage in texts]
        return preds

    def rows(self, item: Any, pred: Any) -> tuple:
        """Features have no visualization."""
        raise ValueError('FeatureExtractor draws nothing: leave out show and out_dir')

    def plain(self, pred: Any) -> Any:
        """The dict itself."""
        return pred
