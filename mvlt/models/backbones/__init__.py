from .pvt_vl import PVTVL

__all__ = ['PVTVL']
