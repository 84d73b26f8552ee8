from .hooks import (
    FitClustersHook,
    LoadReportHook,
    MaskStepsHook,
    MomentumHook,
    PicturesHook,
    PromptsHook,
    ResultsHook,
    SkippedRecordsHook,
    VocabularyHook,
    WeightAverageHook,
    WholeCheckpointHook,
)
from .loops import EpochTrainLoop, FullRankingLoop, IterTrainLoop, PhraseLoop, RetrievalLoop
from .optim import BFloat16OptimWrapper, LateOptimWrapper, ShardedStrategy
from .resolve import resolve
from .runner import QuietRunner

__all__ = [
    'BFloat16OptimWrapper',
    'EpochTrainLoop',
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
    'VocabularyHook',
    'WeightAverageHook',
    'WholeCheckpointHook',
    'resolve',
]
