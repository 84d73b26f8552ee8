from .averages import MomentumHook, WeightAverageHook
from .checkpoint import WholeCheckpointHook
from .class_names import ClassNamesHook
from .fit_clusters import FitClustersHook
from .load_report import LoadReportHook
from .mask_steps import MaskStepsHook
from .pictures import PicturesHook
from .prompts import PromptsHook
from .results import ResultsHook
from .skipped_records import SkippedRecordsHook
from .vocabulary import VocabularyHook

__all__ = [
    'ClassNamesHook',
    'FitClustersHook',
    'LoadReportHook',
    'MaskStepsHook',
    'MomentumHook',
    'PicturesHook',
    'PromptsHook',
    'ResultsHook',
    'SkippedRecordsHook',
    'VocabularyHook',
    'WeightAverageHook',
    'WholeCheckpointHook',
]
