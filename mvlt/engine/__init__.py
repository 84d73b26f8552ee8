from . import checkpoint  # noqa: F401  every local file is then read safely
from .bfloat16 import BFloat16OptimWrapper
from .checkpoint_hook import WholeCheckpointHook
from .class_names_hook import ClassNamesHook
from .fit_clusters_hook import FitClustersHook
from .full_ranking_loop import FullRankingLoop
from .load_report_hook import LoadReportHook
from .mask_steps_hook import MaskStepsHook
from .pictures_hook import PicturesHook
from .pretrained import PretrainedImagePart
from .retrieval_loop import RetrievalLoop
from .sharded import ShardedStrategy
from .skipped_hook import SkippedRecordsHook
from .train_loops import EpochTrainLoop, IterTrainLoop
from .vocabulary_hook import VocabularyHook

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
    'PretrainedImagePart',
    'RetrievalLoop',
    'ShardedStrategy',
    'SkippedRecordsHook',
    'VocabularyHook',
    'WholeCheckpointHook',
]
