"""The benchmark's own verdicts: lm-eval's tasks/ifeval as it stands in the wheel, on cases from a file.

    python ifeval.py FOLDER CASES VERDICTS

A line of CASES is {id, kwargs, prompt, response}; the same line of VERDICTS is {strict, loose, note}, or {raised}.
Or it is a row of the benchmark's data with a response: then each of the three is a list, and arguments are taken as
they are unless the row says that they are texts.
"""

import functools
import json
import logging
import multiprocessing
import os
import random
import re
import sys

folder, cases, verdicts = sys.argv[1:]
os.environ["NLTK_DATA"] = os.path.join(folder, "nltk_data")
sys.path.insert(0, folder)

import langdetect  # noqa: E402
from langdetect import DetectorFactory  # noqa: E402
from nltk import redos  # noqa: E402

# A verdict must not depend on the clock.
redos.DEFAULT_TIMEOUT = None
# langdetect draws at random; with a seed, the same text has the same language.
DetectorFactory.seed = 0

from lm_eval.tasks.ifeval import instructions, utils  # noqa: E402

instructions.logger.setLevel(logging.CRITICAL)
instructions.langdetect.detect = functools.lru_cache(maxsize=None)(langdetect.detect)

# The benchmark takes these for regular expressions, spar for text: it is asked about the text.
TEXTS = ("keyword", "section_spliter")
LISTS = ("keywords", "forbidden_words")
ASKS_LANGUAGE = (
    "language:response_language",
    "change_case:english_capital",
    "change_case:english_lowercase",
)


def literal(kwargs):
    escaped = dict(kwargs)
    for name in TEXTS:
        if isinstance(kwargs.get(name), str):
            escaped[name] = re.escape(kwargs[name].strip())
    for name in LISTS:
        if kwargs.get(name):
            escaped[name] = [re.escape(text) for text in kwargs[name]]
    marker = kwargs.get("postscript_marker")
    if marker is not None and marker.strip() not in ("P.S.", "P.P.S"):
        escaped["postscript_marker"] = re.escape(marker.strip().lower())
    return escaped


def note_on(case, response):
    """Why the benchmark's own verdict says nothing here; None if it does."""
    kwargs = case["kwargs"]
    letter = kwargs.get("letter")
    if case["id"] == "keywords:letter_frequency" and not re.fullmatch("[A-Za-z]", letter or ""):
        return "drawn at random"
    if case["id"] not in ASKS_LANGUAGE:
        return None
    lines = response.split("\n")
    texts = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    for text in texts:
        for variant in {text, text.replace("*", "")}:
            if not variant.strip():
                continue
            if sum(character.isalpha() for character in variant) < 20:
                return "fewer than 20 letters"
            if variant.isupper():
                return "all in capitals"
            try:
                if langdetect.detect_langs(variant)[0].prob < 0.9:
                    return "langdetect is unsure"
            except langdetect.LangDetectException:
                return "langdetect cannot tell"
    return None


def judge_row(row):
    """As the benchmark itself does it: all constraints of a prompt, with chance where it draws."""
    random.seed(0)
    ids, kwargs = row["instruction_id_list"], row["kwargs"]
    example = utils.InputExample(
        key=0,
        instruction_id_list=ids,
        prompt=row["prompt"],
        kwargs=[literal(one) for one in kwargs] if row["texts"] else kwargs,
    )
    try:
        strict = utils.test_instruction_following_strict(example, row["response"])
        loose = utils.test_instruction_following_loose(example, row["response"])
    except Exception as error:
        return {"raised": type(error).__name__}
    cases = [{"id": id, "kwargs": one} for id, one in zip(ids, kwargs)]
    return {
        "strict": strict.follow_instruction_list,
        "loose": loose.follow_instruction_list,
        "note": [note_on(case, row["response"]) for case in cases],
    }


def judge(line):
    case = json.loads(line)
    if "instruction_id_list" in case:
        return judge_row(case)
    example = utils.InputExample(
        key=0,
        instruction_id_list=[case["id"]],
        prompt=case["prompt"],
        kwargs=[literal(case["kwargs"])],
    )
    try:
        strict = utils.test_instruction_following_strict(example, case["response"])
        loose = utils.test_instruction_following_loose(example, case["response"])
    except Exception as error:  # A verdict that the benchmark cannot give is no verdict.
        return {"raised": type(error).__name__}
    return {
        "strict": strict.follow_all_instructions,
        "loose": loose.follow_all_instructions,
        "note": note_on(case, case["response"]),
    }


if __name__ == "__main__":
    with open(cases, encoding="utf-8") as given, open(verdicts, "w", encoding="utf-8") as taken:
        with multiprocessing.Pool() as pool:
            for verdict in pool.imap(judge, given, chunksize=50):
                taken.write(json.dumps(verdict) + "\n")
