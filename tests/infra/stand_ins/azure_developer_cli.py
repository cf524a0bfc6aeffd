"""A stand-in for azd: ``azd env set NAME VALUE`` is kept in azd.json. With FAKE_AZD_FAIL every call ends with 1."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FILE = Path(os.environ["FAKE_AZURE"]) / "azd.json"

if os.environ.get("FAKE_AZD_FAIL"):
    sys.exit("ERROR: no project exists; to create a new project, run `azd init`")
if sys.argv[1:3] != ["env", "set"] or len(sys.argv) != 5:
    sys.exit("ERROR: incorrect number of arguments")
known = json.loads(FILE.read_text()) if FILE.exists() else {}
FILE.write_text(json.dumps(known | {sys.argv[3]: sys.argv[4]}))
