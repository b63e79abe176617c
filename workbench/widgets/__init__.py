"""Views of results for notebooks: one class and one JavaScript module each.

A view shows a result object and nothing else; the user opens it with ``.view()``. What all of them share is
in `base` (Python), ``common.js`` (put in front of each module) and ``theme.css``.
"""
