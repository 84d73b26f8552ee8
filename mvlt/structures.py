"""What travels beside the tensors of a sample: labels on the way in, predictions on the way out."""

import torch
from mmengine.structures import BaseDataElement


class PairDataSample(BaseDataElement):
    """One image-caption pair.

    A task sets only the keys that it needs; ``'key' in sample`` asks whether one is there.
    H, W: image sides in pixels; u: side of a masking unit in pixels (alpha x P); T: tokens of this
    caption with [CLS] and [SEP]; V: vocabulary size.

    ===================  ==================  ====================================================
    key                  type, shape         meaning
    ===================  ==================  ====================================================
    matched              int                 1 if image and caption belong together, else 0
    main_category        int                 class index, order of first appearance in training
    sub_category         int                 the same, of the finer labels
    image_mask           bool (H/u, W/u)     True = hidden from the model; u = 1: single pixels
    word_labels          int64 (T,)          original token id where a word is hidden, else -1
    match_score          float               predicted probability of a match, 0 to 1
    word_predictions     int64 (N,)          predicted ids at the N positions where labels >= 0
    word_log_probs       float32 (N,)        log-probability of the hidden word at each of them
    reconstruction       float32 (3, H, W)   predicted image, RGB, nominally 0 to 1
    pixels               uint8 (3, H, W)     the image as the model was to see it, unmasked
    <category>_scores    float32 (classes,)  probabilities, e.g. ``main_category_scores``
    ===================  ==================  ====================================================

    Meta information: ``product_id`` (str), ``caption`` (str), ``img_path`` (str, may be absent),
    ``sample_idx`` (int, the row in its dataset).
    """


def stack_labels(
    samples: list[PairDataSample], key: str, device: torch.device | str
) -> torch.Tensor:
    """Gather one integer label of every sample as int64 (B,).

    Raises:
        KeyError: a sample lacks the label, which means that the dataset or ``PackPairInputs``
            does not provide what a head of the model learns from.
    """
    try:
        return torch.tensor([sample.get(key, None) for sample in samples], device=device).long()
    except (TypeError, RuntimeError):
        raise KeyError(
            f"a head needs the label '{key}', which no transform or dataset has set: wrap the "
            "dataset in MatchingPairs for 'matched', or take the head out of the config"
        ) from None
