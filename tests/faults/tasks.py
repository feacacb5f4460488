"""
Tasks that call, of an application that opens the trail when it is imported.
"""

import os

from celery import Celery
from faults.queue_folder import settings
from recording import make_call

import modeltrail

app = Celery("tasks")
app.conf.update(settings(os.environ["TASKS_FOLDER"]))
trail = modeltrail.open()
make_call(trail.recorder, "master")


@app.task
def call(run: str) -> int:
    """
    Make a call and return the id of this process.
    """
    make_call(trail.recorder, run)
    return os.getpid()
