from .attention import PooledAttention, SpatialReductionAttention
from .embeddings import (
    ImagePositions,
    OverlapPatchEmbedding,
    PatchEmbedding,
    TextEmbedding,
    WordEmbedding,
)
from .encoder_layer import GELU, EncoderLayer

__all__ = [
    'GELU',
    'EncoderLayer',
    'ImagePositions',
    'OverlapPatchEmbedding',
    'PatchEmbedding',
    'PooledAttention',
    'SpatialReductionAttention',
    'TextEmbedding',
    'WordEmbedding',
]
