"""What ./inv and inv.cmd start in .venv: the program, on the tasks of this checkout, in the caller's folder."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the tasks that the command line names; leave with their exit code."""
    import tasks
    from build.program.program import Program

    Program(tasks.ns, tasks.ROOT).run()


if __name__ == "__main__":
    # This folder would be searched for modules first; the checkout is to be.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    main()
