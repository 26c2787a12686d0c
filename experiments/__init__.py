"""Experiments that are too large for a chapter: run from the checkout, not installed."""
