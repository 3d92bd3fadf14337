"""Shells of the worker process: Faust and what runs beside its agents."""
