"""``python -m metamers``."""

from metamers.cli import app

app()
