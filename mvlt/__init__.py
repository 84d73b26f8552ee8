"""MVLT, the Masked Vision-Language Transformer for fashion, as OpenMMLab components."""

__version__ = '0.1.0'
