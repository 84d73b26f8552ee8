from .attention import SpatialReductionAttention
from .embeddings import ImagePositions, PatchEmbedding, TextEmbedding, WordEmbedding
from .encoder_layer import EncoderLayer

__all__ = [
    'EncoderLayer',
    'ImagePositions',
    'PatchEmbedding',
    'SpatialReductionAttention',
    'TextEmbedding',
    'WordEmbedding',
]
