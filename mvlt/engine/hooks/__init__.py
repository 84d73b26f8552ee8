from .averages import MomentumHook, WeightAverageHook
from .checkpoint import WholeCheckpointHook
from .fit_clusters import FitClustersHook
from .frozen_features import FrozenFeaturesHook
from .load_report import LoadReportHook
from .mask_steps import MaskStepsHook
from .pictures import PicturesHook
from .prompts import PromptsHook
from .results import ResultsHook
from .skipped_records import SkippedRecordsHook
from .stopping import FirstStepsHook, StopHook
from .teachers import TeachersHook
from .tokenizer import TokenizerHook

__all__ = [
    'FirstStepsHook',
    'FitClustersHook',
    'FrozenFeaturesHook',
    'LoadReportHook',
    'MaskStepsHook',
    'MomentumHook',
    'PicturesHook',
    'PromptsHook',
    'ResultsHook',
    'SkippedRecordsHook',
    'StopHook',
    'TeachersHook',
    'TokenizerHook',
    'WeightAverageHook',
    'WholeCheckpointHook',
]
