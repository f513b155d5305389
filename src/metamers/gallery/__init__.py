"""A run's metamers as a page to look through, which opens without a network or a server."""
