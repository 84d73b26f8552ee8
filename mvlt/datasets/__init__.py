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
from .samplers import EndlessSampler, EpochSampler, LengthSampler, LookAlikeSampler
from .tar_pairs import TarPairs
from .transforms import (
    CentreMask,
    CropMiddle,
    CropToProduct,
    GridMask,
    ImageMask,
    LoadImage,
    MaskWords,
    PackPairInputs,
    RandomGridMask,
    RandomSquareMask,
    RewordCaption,
    StrokeMask,
    Tokenize,
    UnitMask,
    UnitStrokeMask,
)
from .vocabulary import Vocabulary, load_vocabulary, train_vocabulary

if TYPE_CHECKING:
    from .repeated_sampler import RepeatedSampler

__all__ = [
    'COCOCaptions',
    'CandidateList',
    'Catalogue',
    'CentreMask',
    'CropMiddle',
    'CropToProduct',
    'EndlessSampler',
    'EpochSampler',
    'FashionGen',
    'GridMask',
    'ImageMask',
    'LengthSampler',
    'LoadImage',
    'LookAlikeSampler',
    'MaskWords',
    'MatchingPairs',
    'PackPairInputs',
    'PairDataset',
    'PairJSON',
    'Pipeline',
    'RandomGridMask',
    'RandomSquareMask',
    'RankingGroups',
    'RepeatedSampler',
    'RewordCaption',
    'StrokeMask',
    'TarPairs',
    'Tokenize',
    'UnitMask',
    'UnitStrokeMask',
    'Vocabulary',
    'collate_groups',
    'draw_candidates',
    'load_vocabulary',
    'train_vocabulary',
]


def __getattr__(name: str) -> Any:
    if name == 'RepeatedSampler':
        from .repeated_sampler import RepeatedSampler

        return RepeatedSampler
    raise AttributeError(f'module {__name__} has no {name}')
