"""A small student of a trained model: PVT-v2-VL at 64 px learns from dual_encoder_catalogue.py.

The student is the network of dual_encoder_catalogue_scratch.py. Beside its own contrast it learns
the similarities and embeddings of its teachers, whose embeddings of the training data are computed
once. Teachers are model folders (tools/model_converters/publish.py or import_folder.py), one or
several, with the size of their embeddings in `dims`.
Command: tools/train.py configs/mvlt/student_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

from mvlt.engine import TeachersHook
from mvlt.models import TeacherHead

with read_base():
    from .dual_encoder_catalogue_scratch import *

model.heads.teacher = dict(type=TeacherHead, teachers=('MY_MODEL',), dims=(256,), in_dims=128)
model.data_preprocessor.mixup = 0.0  # teachers read whole images
default_hooks.teachers = dict(type=TeachersHook)
