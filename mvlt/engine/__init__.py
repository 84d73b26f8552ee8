from .head_start_hook import HeadStartHook
from .load_report_hook import LoadReportHook
from .retrieval_loop import RetrievalLoop
from .vocabulary_hook import VocabularyHook

__all__ = ['HeadStartHook', 'LoadReportHook', 'RetrievalLoop', 'VocabularyHook']
