"""Keeps tokenizer and model consistent."""

from collections.abc import Iterator

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.datasets import CaptionTokenizer, PairDataset, train_tokenizer
from mvlt.datasets.transforms import Tokenize
from mvlt.engine.runner import bare_model
from mvlt.mmengine_private import built_loops
from mvlt.registry import HOOKS


@HOOKS.register_module()
class TokenizerHook(Hook):
    """Checks that the tokenizer fits the model, or trains the tokenizer.

    Every checkpoint has the tokenizer's fingerprint; a checkpoint of another tokenizer is refused,
    since its token embeddings would not fit.

    Args:
        train_size: if the folder of ``Tokenize`` has no tokenizer, train it there on the training
            captions, with this many word pieces; None = never.
        anew: train although an earlier run has left a tokenizer.
    """

    def __init__(self, train_size: int | None = None, anew: bool = False) -> None:
        self.train_size = train_size
        self.anew = anew
        self.tokenizer: CaptionTokenizer | None = None

    def before_run(self, runner: Runner) -> None:
        """Read or train the tokenizer; compare its size with the model's embedding table."""
        for transform, dataset in tokenizers_of(runner):
            self.tokenizer = self._load(transform, dataset, runner)
            self._check_size(runner, self.tokenizer)
            return

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.tokenizer is not None:
            checkpoint['meta']['tokenizer'] = self.tokenizer.fingerprint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        stored = checkpoint.get('meta', {}).get('tokenizer')
        if self.tokenizer is None or stored in (None, self.tokenizer.fingerprint):
            return
        raise ValueError(
            f"tokenizer '{self.tokenizer.source}' ({self.tokenizer.fingerprint}) is not the one "
            f'that the checkpoint was trained with ({stored}): point Tokenize and MaskWords to '
            "that run's tokenizer"
        )

    def _load(self, transform: Tokenize, dataset: PairDataset, runner: Runner) -> CaptionTokenizer:
        if self.train_size is None or 'train' not in built_loops(runner):
            return transform.tokenizer
        if is_main_process():
            try:
                if self.anew:
                    raise FileNotFoundError
                return transform.tokenizer
            except FileNotFoundError:
                captions = list(dict.fromkeys(dataset.captions()))
                trained = train_tokenizer(captions, transform.source, self.train_size)
                runner.logger.info(
                    f'trained a tokenizer of {len(trained)} word pieces on {len(captions)} '
                    f'captions: {transform.source}'
                )
            finally:
                barrier()
            return transform.tokenizer
        barrier()
        return transform.tokenizer

    def _check_size(self, runner: Runner, tokenizer: CaptionTokenizer) -> None:
        model = bare_model(runner)
        rows = getattr(getattr(model, 'backbone', None), 'vocab_size', None)
        padding = getattr(getattr(model, 'data_preprocessor', None), 'pad_id', None)
        pieces, pad_id = len(tokenizer), tokenizer.pad_id
        if padding not in (None, pad_id):
            raise ValueError(
                f"tokenizer '{tokenizer.source}' pads with id {pad_id}, the model with {padding}: "
                f'set model.data_preprocessor.pad_id={pad_id}'
            )
        if rows is not None and pieces > rows:
            raise ValueError(
                f"tokenizer '{tokenizer.source}' has {pieces} word pieces, the model {rows} rows: "
                f'set model.backbone.vocab_size={pieces}, or train a smaller tokenizer'
            )


def tokenizers_of(runner: Runner) -> Iterator[tuple[Tokenize, PairDataset]]:
    """Tokenizers and datasets of this run's loops, training first."""
    for loop in built_loops(runner).values():
        dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
        while dataset is not None and not isinstance(dataset, PairDataset):
            dataset = getattr(dataset, 'dataset', None)
        if dataset is not None and (transform := dataset.pipeline.find(Tokenize)):
            yield transform, dataset
