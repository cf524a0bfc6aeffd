"""The app's activities as the model sees them: their names, and what each takes and gives."""

from __future__ import annotations

import functools
import sys
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from functions.activities.base import Activity


def app_activities() -> list[str]:
    """Every activity that an orchestrator of the app may call, but for the self-check's."""
    import function_app  # noqa: F401 (it loads every module that defines one)

    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("functions.") and not name.endswith(".selfcheck")
    ]
    return sorted({name for module in modules for name, known in vars(module).items() if isinstance(known, Activity)})


@functools.cache
def boundary(handler: Any) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    """An activity's input and output, from its handler's signature."""
    hints = get_type_hints(handler)
    return TypeAdapter(hints["order"]), TypeAdapter(hints["return"])
