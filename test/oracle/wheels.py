"""Unpacks what the oracle needs of three wheels, and nothing else of them: the tasks of lm-eval and if-verifiable, and NLTK's data.

    python wheels.py FOLDER
"""

import subprocess
import sys
import zipfile
from pathlib import Path

WHEELS = {
    "lm_eval==0.4.13": ("lm_eval/tasks/ifeval/", ""),
    "if-verifiable==0.1.2": ("if_verifiable/", ""),
    "llama-index-core==0.14.25": ("llama_index/core/_static/nltk_cache/", "nltk_data"),
}

folder = Path(sys.argv[1])
for wheel, (inside, place) in WHEELS.items():
    mark = folder / f"{wheel}.unpacked"
    if mark.exists():
        continue
    download = folder / "wheels" / wheel
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", download, wheel], check=True)
    with zipfile.ZipFile(next(download.glob("*.whl"))) as archive:
        for name in archive.namelist():
            if not name.startswith(inside) or name.endswith("/"):
                continue
            path = folder / place / (name.removeprefix(inside) if place else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
    mark.touch()
