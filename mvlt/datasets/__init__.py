from .candidates import CandidateList, draw_candidates
from .catalogue import Catalogue
from .fashion_gen import FashionGen
from .matching import MatchingPairs
from .pair_dataset import PairDataset
from .transforms import (
    CentreMask,
    CropToProduct,
    GridMask,
    ImageMask,
    LoadImage,
    MaskWords,
    PackPairInputs,
    RandomGridMask,
    StrokeMask,
    Tokenize,
)
from .vocabulary import Vocabulary, load_vocabulary, train_vocabulary

__all__ = [
    'CandidateList',
    'Catalogue',
    'CentreMask',
    'CropToProduct',
    'FashionGen',
    'GridMask',
    'ImageMask',
    'LoadImage',
    'MaskWords',
    'MatchingPairs',
    'PackPairInputs',
    'PairDataset',
    'RandomGridMask',
    'StrokeMask',
    'Tokenize',
    'Vocabulary',
    'draw_candidates',
    'load_vocabulary',
    'train_vocabulary',
]
