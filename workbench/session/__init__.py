"""The live host: models that run in stub processes of this kernel."""
