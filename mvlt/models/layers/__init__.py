from .attention import PooledAttention, SpatialReductionAttention
from .embeddings import (
    ImagePositions,
    OverlapPatchEmbedding,
    PatchEmbedding,
    TextEmbedding,
    WordEmbedding,
)
from .encoder_layer import EncoderLayer

__all__ = [
    'EncoderLayer',
    'ImagePositions',
    'OverlapPatchEmbedding',
    'PatchEmbedding',
    'PooledAttention',
    'SpatialReductionAttention',
    'TextEmbedding',
    'WordEmbedding',
]
