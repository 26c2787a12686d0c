"""How chapters are run: sessions, copies of processes, kernels, records of what was run."""
