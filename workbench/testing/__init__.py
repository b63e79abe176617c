"""Notebooks as tests (``workbench test``), and pytest fixtures for models. Imports nothing of weight."""
