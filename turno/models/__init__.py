"""`turno models`: brings models in, shows them, verifies that they serve, and checks them on labelled photos."""

from turno.models.commands import app

__all__ = ["app"]
