"""Set JupyterLab, as installed in this environment, to ask no server for news or updates: the book works offline."""

import json
import sys
from pathlib import Path

path = Path(sys.prefix, "share/jupyter/lab/settings/overrides.json")
path.parent.mkdir(parents=True, exist_ok=True)
quiet = {"fetchNews": "false", "checkForUpdates": False}
path.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": quiet}), encoding="utf-8")
