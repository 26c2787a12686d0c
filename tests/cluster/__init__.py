"""A sweep on a dask cluster."""
