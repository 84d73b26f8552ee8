from .attention import PooledAttention, SpatialReductionAttention
from .embeddings import (
    ImagePositions,
    OverlapPatchEmbedding,
    PatchEmbedding,
    TextEmbedding,
    TokenEmbedding,
)
from .encoder_layer import MLP, EncoderLayer

__all__ = [
    'MLP',
    'EncoderLayer',
    'ImagePositions',
    'OverlapPatchEmbedding',
    'PatchEmbedding',
    'PooledAttention',
    'SpatialReductionAttention',
    'TextEmbedding',
    'TokenEmbedding',
]
