"""Errors, and what plants them: each must be noticed."""
