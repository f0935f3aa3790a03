"""The names of the feature masks, from the one place that lists them, and the
suite that is to run under each.

Each feature of uring/feature.h must have a mask of its own, and "all" one; a
feature that nobody masks would have a fallback that nobody runs.

Usage: masks.py tests/meson.build uring/feature.h
"""

import re
import sys

TEXTS = []
for argument in sys.argv[1:3]:
    with open(argument, encoding="utf-8") as file:
        TEXTS.append(file.read())

BODY = re.search(r"^feature_masks = \{\n(.*?)^\}", TEXTS[0], re.M | re.S)
if not BODY:
    raise SystemExit("no feature_masks")
ROWS = re.findall(r"^\s*'([^']+)': '([^']+)',(?: # (\w+))?$", BODY[1], re.M)
FEATURES = set(re.findall(r'^\s*X\(\w+,\s*"(\w+)"', TEXTS[1], re.M))
DIFFERENT = (FEATURES | {"all"}) ^ {mask for _, mask, _ in ROWS}
if DIFFERENT or not FEATURES:
    raise SystemExit("masks and features differ: " + " ".join(DIFFERENT))
print("\n".join(f"{name} {suite or 'contract'}" for name, _, suite in ROWS))
