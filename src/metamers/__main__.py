"""``python -m metamers``."""

from metamers.cli.main import app

app()
