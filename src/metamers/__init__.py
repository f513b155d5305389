"""Ensemble model metamers: synthesis, evaluation, tables and figures."""

__version__ = "0.1.0"
