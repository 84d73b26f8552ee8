from .hooks import (
    ClassNamesHook,
    FitClustersHook,
    LoadReportHook,
    MaskStepsHook,
    PicturesHook,
    SkippedRecordsHook,
    VocabularyHook,
    WholeCheckpointHook,
)
from .loops import EpochTrainLoop, FullRankingLoop, IterTrainLoop, RetrievalLoop
from .optim import BFloat16OptimWrapper, ShardedStrategy

__all__ = [
    'BFloat16OptimWrapper',
    'ClassNamesHook',
    'EpochTrainLoop',
    'FitClustersHook',
    'FullRankingLoop',
    'IterTrainLoop',
    'LoadReportHook',
    'MaskStepsHook',
    'PicturesHook',
    'RetrievalLoop',
    'ShardedStrategy',
    'SkippedRecordsHook',
    'VocabularyHook',
    'WholeCheckpointHook',
]
