"""Write the vectors: ``python tests/vectors/generate.py`` (``--check`` compares instead of writing).

Vectors that have landed never change: a run must find exactly the files that are there, and a test says so.
"""

import json
import sys
from pathlib import Path

import negative
import positive
from material import HERE, RECORD, Recorder


def build(recorder: Recorder) -> dict[Path, object]:
    """Return every file with its content."""
    made = positive.messages(recorder)
    two, large = made[negative.TWO], made[negative.LARGE]
    full = two.bundle()
    records = positive.records(recorder)
    files = {
        "keys": positive.keys(two),
        "parts": {
            **positive.part_sizes(recorder),
            "ranges": {"message": negative.LARGE, "cases": positive.ranges(large)},
        },
        "messages": {name: sealed.vector() for name, sealed in made.items()},
        "bundles": {
            "message": negative.TWO,
            "full": full.hex(),
            "recovery only": two.bundle(kek=False).hex(),
        },
        "records": records,
        "negative": {
            "messages": [
                *negative.headers(made),
                *negative.outer_keys(made),
                *negative.stanzas(made, recorder),
                *negative.blobs(made),
                *negative.small_blobs(made),
            ],
            "keys": negative.keys(),
            "ranges": negative.ranges(made),
            "manifests": negative.manifests(made),
            "bundles": negative.bundles(full, made),
            "records": negative.records(records),
        },
    }
    return {HERE / f"{name}.json": content for name, content in files.items()} | {RECORD: recorder.used}


def main() -> int:
    """Write or compare the files; return 1 when one differs."""
    check = "--check" in sys.argv
    different = []
    for path, content in build(Recorder()).items():
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            different.append(path.name)
    for name in different:
        print(f"{name} would change")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
