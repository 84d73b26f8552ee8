"""Evaluates short queries, made of attributes, on all images of a split."""

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.engine.loops.ranking import RankingLoop, result_of, share
from mvlt.registry import LOOPS
from mvlt.retrieval.ranking import rank


class AttributeQuery(NamedTuple):
    """A query of a kind, and which images match it, bool (images,)."""

    kind: str
    text: str
    relevant: np.ndarray


@LOOPS.register_module()
class AttributeQueryLoop(RankingLoop):
    """Ranks all images of a split for each query that its products' labels make.

    Embeddings alone order the candidates. A result has ``direction`` (the kind of query),
    ``positives`` among the first candidates and ``relevant``, the number of matching images.

    ``zero_shot/<label>/accuracy`` is the percentage of images whose most similar class prompt,
    among all classes of the training, is that of their own class.

    Args:
        dataloader: its dataset gives the rows; its records have the labels that templates name.
        evaluator: gets a result per query (:class:`mvlt.evaluation.PrecisionMetric`).
        phrases: kind -> template over labels, e.g. dict(colour_kind='{colour} {sub_category}').
            A template of None is skipped, here and in ``prompts``; a template with labels that the
            data lack is skipped with a warning.
        prompts: label -> templates over ``{}``, e.g. dict(colour=('{}', 'a photo of {} clothes')).
            The normalised mean of their embeddings stands for a class, as in CLIP.
        fewest: skip queries with fewer relevant images.
        shown: candidates of a result.
        text_weight: weight of the caption's embedding in a candidate's, 0 to 1; the sum is
            normalised. 0.1 is the attribute-to-product protocol of Marqo's KAGL.
        kwargs: encoder, scorer, batch_size, amp_dtype: see :class:`RankingLoop`.

    Raises:
        ValueError: the data lack labels of every template.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        phrases: Mapping[str, str],
        prompts: Mapping[str, Sequence[str]] | None = None,
        fewest: int = 10,
        shown: int = 10,
        text_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if kwargs.get('analysis'):
            raise ValueError('test_cfg.analysis: for queries by title or image, not by attributes')
        super().__init__(runner, dataloader, evaluator, rerank=None, **kwargs)
        legal = [key for key in self.dataset.metainfo if key in self.dataset.get_data_info(0)]
        phrases = {kind: template for kind, template in phrases.items() if template}
        prompts = {label: templates for label, templates in (prompts or {}).items() if templates}
        self.phrases = {k: text for k, text in phrases.items() if {*_labels(text)} <= {*legal}}
        self.prompts = {label: prompts[label] for label in prompts if label in legal}
        labels = {*prompts, *(label for text in phrases.values() for label in _labels(text))}
        if unknown := sorted(labels - {*legal}):
            message = (
                f'test_cfg.phrases and prompts name {", ".join(map(repr, unknown))}, which the '
                f'data lack; legal: {", ".join(legal)}'
            )
            if not self.phrases and not self.prompts:
                raise ValueError(message)
            runner.logger.warning('%s. Skipped', message)
        self.fewest = fewest
        self.shown = shown
        self.text_weight = text_weight

    @property
    def protocol(self) -> dict[str, Any]:
        kinds = [query.kind for query in self.queries]
        return dict(
            name='phrases',
            phrases=dict(self.phrases),
            num_queries={kind: kinds.count(kind) for kind in self.phrases},
            num_candidates=len(self.records),
            fewest=self.fewest,
            text_weight=self.text_weight,
            prompts={label: list(templates) for label, templates in self.prompts.items()},
            rerank=self.rerank,
        )

    @property
    def queries(self) -> list[AttributeQuery]:
        """All queries, by kind, those with most images first."""
        return [query for kind in self.phrases for query in self._queries_of(kind)]

    def _queries_of(self, kind: str) -> Iterator[AttributeQuery]:
        """The queries of a kind; products that lack a label match none."""
        template = self.phrases[kind]
        labels = _labels(template)
        values = np.array([[record[label] for label in labels] for record in self.records])
        labelled = values[(values >= 0).all(1)]
        classes, counts = np.unique(labelled, axis=0, return_counts=True)
        for i in np.argsort(-counts, kind='stable'):
            if counts[i] < self.fewest:
                break
            names = {
                label: self.dataset.metainfo[label][index]
                for label, index in zip(labels, classes[i])
            }
            relevant = (values == classes[i]).all(1)
            yield AttributeQuery(kind, template.format_map(names), relevant)

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Rank this rank's queries; classify every image by the prompts."""
        queries, rows, meta = self.queries, list(range(len(self.records))), self.dataset.metainfo
        classes = {label: meta[label][: meta.get(f'{label}_trained')] for label in self.prompts}
        prompts = [
            template.format(name)
            for label, templates in self.prompts.items()
            for name in classes[label]
            for template in templates
        ]
        texts = [query.text for query in queries] + prompts
        captions = self.captions(rows) if self.text_weight else []
        embeds = self.encode(rows, [*texts, *captions])
        if self.text_weight:
            caption_embeds = _normalised(embeds.texts[len(texts) :])
            sums = (1 - self.text_weight) * embeds.images + self.text_weight * caption_embeds
            embeds = embeds._replace(images=_normalised(sums))
        results = []
        for index in share(range(len(queries))):
            similarity = embeds.similarity(slice(None), [index])[:, 0]
            ranking = rank(np.arange(len(rows)), len(rows), None, similarity, None)
            first, (kind, text, relevant) = ranking.first(self.shown), queries[index]
            row = int(np.flatnonzero(relevant)[0])
            results.append(
                result_of(ranking, relevant, first, rows, direction=kind, query=row, phrase=text)
            )
        accuracy, start = {}, len(queries)
        for label, templates in self.prompts.items():
            shape = len(classes[label]), len(templates)
            prompt_embeds = embeds.texts[start : start + shape[0] * shape[1]].reshape(*shape, -1)
            start += shape[0] * shape[1]
            predicted = (embeds.images @ _normalised(prompt_embeds.mean(1)).T).argmax(1)
            truth = np.array([record[label] for record in self.records])
            right = predicted[truth >= 0] == truth[truth >= 0]
            accuracy[f'zero_shot/{label}/accuracy'] = 100 * float(right.mean())
        return results, len(queries), accuracy


def _normalised(embeds: np.ndarray) -> np.ndarray:
    return embeds / np.maximum(np.linalg.norm(embeds, axis=1, keepdims=True), 1e-12)


def _labels(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]
