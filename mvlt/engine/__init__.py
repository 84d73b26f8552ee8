from .hooks import (
    ClassNamesHook,
    FitClustersHook,
    LoadReportHook,
    MaskStepsHook,
    PicturesHook,
    ResultsHook,
    SkippedRecordsHook,
    VocabularyHook,
    WholeCheckpointHook,
)
from .loops import EpochTrainLoop, FullRankingLoop, IterTrainLoop, RetrievalLoop
from .optim import BFloat16OptimWrapper, ShardedStrategy
from .runner import QuietRunner

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
    'QuietRunner',
    'ResultsHook',
    'RetrievalLoop',
    'ShardedStrategy',
    'SkippedRecordsHook',
    'VocabularyHook',
    'WholeCheckpointHook',
]
