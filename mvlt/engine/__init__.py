from .hooks import (
    FirstStepsHook,
    FitClustersHook,
    LoadReportHook,
    MaskStepsHook,
    MomentumHook,
    PicturesHook,
    PromptsHook,
    ResultsHook,
    SkippedRecordsHook,
    StopHook,
    TokenizerHook,
    WeightAverageHook,
    WholeCheckpointHook,
)
from .loops import (
    AttributeQueryLoop,
    EpochTrainLoop,
    FullRankingLoop,
    IterTrainLoop,
    RetrievalLoop,
    StreamRankingLoop,
)
from .optim import AsyncOptimWrapper, BFloat16OptimWrapper, ShardedStrategy
from .resolve import resolve
from .runner import QuietRunner

__all__ = [
    'AsyncOptimWrapper',
    'AttributeQueryLoop',
    'BFloat16OptimWrapper',
    'EpochTrainLoop',
    'FirstStepsHook',
    'FitClustersHook',
    'FullRankingLoop',
    'IterTrainLoop',
    'LoadReportHook',
    'MaskStepsHook',
    'MomentumHook',
    'PicturesHook',
    'PromptsHook',
    'QuietRunner',
    'ResultsHook',
    'RetrievalLoop',
    'ShardedStrategy',
    'SkippedRecordsHook',
    'StopHook',
    'StreamRankingLoop',
    'TokenizerHook',
    'WeightAverageHook',
    'WholeCheckpointHook',
    'resolve',
]
