"""
The command line: one file per group of commands.

Nothing here loads the SQL engine before a command needs it, so that `--help`
and completion answer at once.
"""
