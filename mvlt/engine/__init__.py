from .load_report_hook import LoadReportHook
from .retrieval_loop import RetrievalLoop
from .vocabulary_hook import VocabularyHook

__all__ = ['LoadReportHook', 'RetrievalLoop', 'VocabularyHook']
