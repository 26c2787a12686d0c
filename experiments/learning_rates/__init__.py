"""Chapter 11's central experiment at other learning rates."""
