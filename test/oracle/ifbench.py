"""IFBench's verdicts: its checkers as they stand in the wheel of if-verifiable, on cases from a file.

    python ifbench.py FOLDER CASES VERDICTS

A line of CASES is {id, kwargs, response}; the same line of VERDICTS is {strict, loose, note}, or {raised}.
"""

import json
import logging
import multiprocessing
import os
import sys
import types

folder, cases, verdicts = sys.argv[1:]
os.environ["NLTK_DATA"] = os.path.join(folder, "nltk_data")
sys.path.insert(0, folder)

import nltk  # noqa: E402
from nltk import redos  # noqa: E402

# A verdict must not depend on the clock, and nothing is fetched: what is missing is of constraints that are left out.
redos.DEFAULT_TIMEOUT = None
nltk.download = lambda *args, **kwargs: False
# Only whoever loads the benchmark's prompts needs it.
datasets = types.ModuleType("datasets")
datasets.load_dataset = None
sys.modules["datasets"] = datasets

from if_verifiable.common import get_loose_transformations  # noqa: E402
from if_verifiable.ifbench.instructions_registry import INSTRUCTION_DICT  # noqa: E402

logging.disable(logging.CRITICAL)


def judge(line):
    case = json.loads(line)
    response = case["response"]
    checker = INSTRUCTION_DICT[case["id"]](case["id"])
    try:
        checker.build_description(**case["kwargs"])
        # The variants begin with the response itself. (The package strips it first, IFBench's own code does not.)
        follows = [
            bool(text.strip() and checker.check_following(text))
            for text in get_loose_transformations(response)
        ]
    except Exception as error:  # A verdict that the benchmark cannot give is no verdict.
        return {"raised": type(error).__name__}
    return {"strict": follows[0], "loose": any(follows), "note": None}


if __name__ == "__main__":
    if cases == "names":
        with open(verdicts, "w", encoding="utf-8") as taken:
            json.dump(list(INSTRUCTION_DICT), taken)
        sys.exit()
    with open(cases, encoding="utf-8") as given, open(verdicts, "w", encoding="utf-8") as taken:
        with multiprocessing.Pool() as pool:
            for verdict in pool.imap(judge, given, chunksize=50):
                taken.write(json.dumps(verdict) + "\n")
