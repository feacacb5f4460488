"""
`modeltrail migrate`: bring a trail's schema up to date.
"""

import typer

from modeltrail.cli.exits import command
from modeltrail.cli.trails import shown, url_of


@command
def migrate(context: typer.Context) -> None:
    """
    Bring the trail's database to the schema of this version, making it if needed.
    """
    from modeltrail.storage import Store

    url = url_of(context.obj)
    migrated = Store.migrate(url)
    print(f"{shown(url)}: schema {migrated.before or 'none'} -> {migrated.after}")
    if migrated.partitions:
        print(f"new partitions: {', '.join(migrated.partitions)}")
