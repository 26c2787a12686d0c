"""Set JupyterLab, as installed in this environment, for readers of the book.

It asks no server for news or updates: the book works offline. And nbgrader's menus for teachers, and the buttons of the
other notebook program that nbgrader brings with it, stay off; its commands work all the same.
"""

import json
import sys
from pathlib import Path
from typing import Any

MENUS = ("@jupyter/nbgrader", "@jupyter-notebook/lab-extension")
SERVERS = ("assignment_list", "course_list", "formgrader", "validate_assignment")


def put(name: str, settings: dict[str, Any]) -> None:
    """Write one of Jupyter's files of settings."""
    path = Path(sys.prefix, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings), encoding="utf-8")


news = {"fetchNews": "false", "checkForUpdates": False}
put("share/jupyter/lab/settings/overrides.json", {"@jupyterlab/apputils-extension:notification": news})
put("etc/jupyter/labconfig/page_config.json", {"disabledExtensions": dict.fromkeys(MENUS, True)})
# Read after nbgrader.json, which switches them on, and before what `jupyter server extension enable` would write.
servers = {f"nbgrader.server_extensions.{name}": False for name in SERVERS}
put("etc/jupyter/jupyter_server_config.d/nbgrader.quiet.json", {"ServerApp": {"jpserver_extensions": servers}})
