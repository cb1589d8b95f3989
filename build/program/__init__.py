"""The command line: Invoke's program with this project's pages, flags, bare names, completion and outcomes.

Read program.py. task.py is the decorator of every task, arguments.py reads the words of a command line, outcome.py
turns what a task raises into an exit code, pages.py prints the list and the help, complete.py answers a shell's Tab
from what completion_table.py wrote; start.py is what ./inv starts, __main__.py the same for the
working folder; shells holds what makes a shell ask. results.py has the types of what tasks print with
--json, output_schema.py the JSON Schema of it.
"""
