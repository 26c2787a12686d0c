"""Keras, Optax and transformers beside l2lib."""
