"""``python -m cli`` is the ``coldsite`` command."""

from cli.main import main

main()
