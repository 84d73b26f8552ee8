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
    VocabularyHook,
    WeightAverageHook,
    WholeCheckpointHook,
)
from .loops import (
    EpochTrainLoop,
    FullRankingLoop,
    IterTrainLoop,
    PhraseLoop,
    RetrievalLoop,
    StreamRankingLoop,
)
from .optim import BFloat16OptimWrapper, LateOptimWrapper, ShardedStrategy
from .resolve import resolve
from .runner import QuietRunner

__all__ = [
    'BFloat16OptimWrapper',
    'EpochTrainLoop',
    'FirstStepsHook',
    'FitClustersHook',
    'FullRankingLoop',
    'IterTrainLoop',
    'LateOptimWrapper',
    'LoadReportHook',
    'MaskStepsHook',
    'MomentumHook',
    'PhraseLoop',
    'PicturesHook',
    'PromptsHook',
    'QuietRunner',
    'ResultsHook',
    'RetrievalLoop',
    'ShardedStrategy',
    'SkippedRecordsHook',
    'StopHook',
    'StreamRankingLoop',
    'VocabularyHook',
    'WeightAverageHook',
    'WholeCheckpointHook',
    'resolve',
]
