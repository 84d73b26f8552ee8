"""A student of trained models: quick start at 96 px learns from a teacher at 224 px.

Beside its own contrast the student learns the similarities and embeddings of its teachers, whose
embeddings of the training data are computed once. At 96 px it encodes about five times as many
images a second. Teachers are model folders (tools/model_converters/publish.py or import_folder.py),
one or several, with the size of their embeddings in `dims`.
Command: tools/train.py configs/mvlt/student_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metrics: docs/results/2026-11-30-a-start-that-has-seen-images.md.
"""

from mmengine.config import read_base

from mvlt.engine import TeachersHook
from mvlt.models import TeacherHead

with read_base():
    from .quick_start_catalogue import *

image_size = 96
model.heads.teacher = dict(type=TeacherHead, teachers=('MY_MODEL',), dims=(256,), in_dims=256)
model.data_preprocessor.mixup = 0.0  # teachers read whole images
default_hooks.teachers = dict(type=TeachersHook)
