"""HOLD: what must be true of the book, its code and its tools."""
