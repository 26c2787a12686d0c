"""The built book and JupyterLab in Chromium."""
