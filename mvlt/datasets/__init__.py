from typing import TYPE_CHECKING, Any

from .candidates import CandidateList, draw_candidates
from .catalogue import Catalogue
from .coco import COCOCaptions
from .fashion_gen import FashionGen
from .matching import MatchingPairs
from .pair_dataset import PairDataset
from .pair_json import PairJSON
from .pipeline import Pipeline
from .ranking import RankingGroups, collate_groups
from .samplers import CategoryBatchSampler, EndlessSampler, EpochSampler, LengthSampler
from .tar_pairs import TarPairs
from .tokenizer import CaptionTokenizer, load_tokenizer, train_tokenizer
from .transforms import (
    AugmentCaption,
    CenterCropRatio,
    CentreMask,
    CropToForeground,
    FillBackground,
    GridMask,
    ImageMask,
    LoadImage,
    MaskWords,
    PackPairInputs,
    RandomGridMask,
    RandomSquareMask,
    RandomZoomOut,
    ResizeShortEdge,
    StrokeMask,
    Tokenize,
    UnitMask,
    UnitStrokeMask,
)

if TYPE_CHECKING:
    from .repeated_sampler import RepeatedSampler

__all__ = [
    'AugmentCaption',
    'COCOCaptions',
    'CandidateList',
    'CaptionTokenizer',
    'Catalogue',
    'CategoryBatchSampler',
    'CenterCropRatio',
    'CentreMask',
    'CropToForeground',
    'EndlessSampler',
    'EpochSampler',
    'FashionGen',
    'FillBackground',
    'GridMask',
    'ImageMask',
    'LengthSampler',
    'LoadImage',
    'MaskWords',
    'MatchingPairs',
    'PackPairInputs',
    'PairDataset',
    'PairJSON',
    'Pipeline',
    'RandomGridMask',
    'RandomSquareMask',
    'RandomZoomOut',
    'RankingGroups',
    'RepeatedSampler',
    'ResizeShortEdge',
    'StrokeMask',
    'TarPairs',
    'Tokenize',
    'UnitMask',
    'UnitStrokeMask',
    'collate_groups',
    'draw_candidates',
    'load_tokenizer',
    'train_tokenizer',
]


def __getattr__(name: str) -> Any:
    if name == 'RepeatedSampler':
        from .repeated_sampler import RepeatedSampler

        return RepeatedSampler
    raise AttributeError(f'module {__name__} has no {name}')
