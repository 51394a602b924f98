"""Notes every warning of a Python process in the file that $WARNINGS_NOTED names, one JSON object a line.

Python imports a module of this name by itself, so it is in effect in each process that a trainer starts, whichever
logger or library warns, and however that would have printed it.
"""

import json
import logging
import os

make_record = logging.getLogRecordFactory()


def noting(*args: object, **kwargs: object) -> logging.LogRecord:
    record = make_record(*args, **kwargs)
    if record.levelno >= logging.WARNING:
        with open(os.environ["WARNINGS_NOTED"], "a") as file:
            file.write(json.dumps({"from": record.name, "text": record.getMessage()}) + "\n")
    return record


logging.setLogRecordFactory(noting)
logging.captureWarnings(True)
