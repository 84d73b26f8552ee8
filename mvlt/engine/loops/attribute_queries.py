"""Short queries, as shoppers type them, against what the catalogue's columns say."""

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mvlt.engine.loops.ranking import RankingLoop, share
from mvlt.registry import LOOPS
from mvlt.retrieval.ranking import rank


class Phrase(NamedTuple):
    """A query: ``text``, and which pictures are meant, bool (pictures,)."""

    kind: str
    text: str
    relevant: np.ndarray


@LOOPS.register_module()
class AttributeQueryLoop(RankingLoop):
    """All pictures of a split for each phrase that the labels of its products make.

    Candidates are ordered by their embeddings alone. A result has ``direction`` (the kind of
    phrase), ``positives`` of the first candidates and ``relevant``, how many there are.

    The other way round ``zero_shot/<label>/accuracy`` is the share of pictures, in percent, that
    are most like the phrase of their own class among all classes that training knows.

    Args:
        dataloader: its dataset gives the rows; its records have the labels that phrases name.
        evaluator: gets one result a phrase (:class:`mvlt.evaluation.PrecisionMetric`).
        phrases: kind -> template over labels: dict(colour_kind='{colour} {sub_category}'); None
            leaves one out, here and in ``prompts``. One over labels that the data do not know is
            left out, too, and said in the log.
        prompts: label -> templates over ``{}``; the mean of their embeds, brought back to length
            1, stands for a class, as in CLIP: dict(colour=('{}', 'a photo of {} clothes')).
        fewest: a phrase with fewer relevant pictures is not asked.
        shown: candidates of a result.
        text_weight: part of a candidate that is its caption's vector, 0 to 1, the sum brought back
            to length 1; 0.1 is the attribute-to-product protocol of Marqo's KAGL.
        kwargs: encoder, scorer, batch_size, amp_dtype: see :class:`RankingLoop`.

    Raises:
        ValueError: no template names labels of the data alone.
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
        super().__init__(runner, dataloader, evaluator, rerank=None, **kwargs)
        known = [key for key in self.dataset.metainfo if key in self.dataset.get_data_info(0)]
        asked = {kind: (one, _labels(one)) for kind, one in phrases.items() if one}
        prompted = {label: one for label, one in (prompts or {}).items() if one}
        self.phrases = {k: one for k, (one, labels) in asked.items() if {*labels} <= {*known}}
        self.prompts = {label: one for label, one in prompted.items() if label in known}
        named = {*prompted, *(label for _, labels in asked.values() for label in labels)}
        if unknown := sorted(named - {*known}):
            said = (
                f'test_cfg.phrases and prompts name {", ".join(map(repr, unknown))}, which the '
                f'data do not know; legal: {", ".join(known)}'
            )
            if not self.phrases and not self.prompts:
                raise ValueError(said)
            runner.logger.warning('%s. They are left out', said)
        self.fewest = fewest
        self.shown = shown
        self.text_weight = text_weight

    @property
    def protocol(self) -> dict[str, Any]:
        """What a reader must know."""
        asked = self.asked
        return dict(
            name='phrases',
            num_queries={kind: sum(one.kind == kind for one in asked) for kind in self.phrases},
            num_candidates=len(self.records),
            fewest=self.fewest,
            text_weight=self.text_weight,
            prompts={label: list(one) for label, one in self.prompts.items()},
            rerank=self.rerank,
        )

    @property
    def asked(self) -> list[Phrase]:
        """The phrases, by kind and then as often as there are pictures for them."""
        return [one for kind, template in self.phrases.items() for one in self._of(kind, template)]

    def _of(self, kind: str, template: str) -> Iterator[Phrase]:
        """Of one kind; products that lack a label are relevant to none."""
        labels = _labels(template)
        values = np.array([[one[label] for label in labels] for one in self.records])
        known = values[(values >= 0).all(1)]
        classes, counts = np.unique(known, axis=0, return_counts=True)
        for place in np.argsort(-counts, kind='stable'):
            if counts[place] < self.fewest:
                break
            names = {
                label: self.dataset.metainfo[label][number]
                for label, number in zip(labels, classes[place])
            }
            relevant = (values == classes[place]).all(1)
            yield Phrase(kind, template.format_map(names), relevant)

    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """Ask this rank's phrases; name the class of every picture."""
        asked, rows = self.asked, list(range(len(self.records)))
        classes = {label: self._classes(label) for label in self.prompts}
        prompts = [
            one.format(name)
            for label, templates in self.prompts.items()
            for name in classes[label]
            for one in templates
        ]
        words = [one.text for one in asked] + prompts
        captions = self.tokens(rows) if self.text_weight else []
        embeds = self.encode(rows, [*map(self._tokens, words), *captions])
        if self.text_weight:
            texts = _of_length_1(embeds.texts[len(words) :])
            sums = (1 - self.text_weight) * embeds.images + self.text_weight * texts
            embeds = embeds._replace(images=_of_length_1(sums))
        results = []
        for query in share(range(len(asked))):
            similarity = embeds.similarity(slice(None), [query])[:, 0]
            found = rank(np.arange(len(rows)), len(rows), None, similarity, None)
            first = found.first(self.shown)
            phrase = asked[query]
            results.append(
                dict(
                    direction=phrase.kind,
                    query=int(np.flatnonzero(phrase.relevant)[0]),
                    phrase=phrase.text,
                    rank=found.rank_of(phrase.relevant),
                    relevant=int(phrase.relevant.sum()),
                    num_candidates=len(rows),
                    candidates=first.tolist(),
                    scores=found.scores[first].astype(np.float32),
                    positives=phrase.relevant[first],
                )
            )
        accuracy, start = {}, len(asked)
        for label, templates in self.prompts.items():
            count = len(classes[label]) * len(templates)
            texts = embeds.texts[start : start + count]
            start += count
            prompted = texts.reshape(len(classes[label]), len(templates), -1)
            means = _of_length_1(prompted.mean(1))
            said = (embeds.images @ means.T).argmax(1)
            truth = np.array([one[label] for one in self.records])
            right = said[truth >= 0] == truth[truth >= 0]
            accuracy[f'zero_shot/{label}/accuracy'] = 100 * float(right.mean())
        return results, len(asked), accuracy

    def _classes(self, label: str) -> list[str]:
        meta = self.dataset.metainfo
        return list(meta[label])[: meta.get(f'{label}_trained')]

    def _tokens(self, text: str) -> torch.Tensor:
        tokenize = self.dataset.pipeline.tokenize()
        return torch.from_numpy(tokenize.transform(dict(caption=text))['token_ids'])


def _of_length_1(embeds: np.ndarray) -> np.ndarray:
    """(n, D) -> (n, D); a vector of zeros stays."""
    return embeds / np.maximum(np.linalg.norm(embeds, axis=1, keepdims=True), 1e-12)


def _labels(template: str) -> list[str]:
    """What a template names between braces."""
    return [name for _, name, _, _ in Formatter().parse(template) if name]
