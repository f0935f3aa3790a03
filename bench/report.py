#!/usr/bin/env python3
"""Draw kept results of bench/run: a page of HTML, or the figures of the READMEs.

    bench/report.py RESULTS.json... > PAGE.html    one page of one run or more
    bench/report.py --keep RESULTS.json... -o bench/results.json
    bench/report.py --update       write the sections of both READMEs anew, of
                                   results.json and results-openssl.json in bench/
"""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import page  # noqa: E402
import results  # noqa: E402

KEPT = [os.path.join(HERE, name)
        for name in ("results.json", "results-openssl.json")]


def update():
    """Both sections are made before a file is written."""
    documents = [results.read(path) for path in KEPT]
    texts = {}
    for path, make in ((os.path.join(HERE, "..", "README.md"), figures.section),
                       (os.path.join(HERE, "README.md"), figures.table)):
        with open(path, encoding="utf-8") as file:
            texts[path] = figures.replace(file.read(), make(*documents))
    for path, text in texts.items():
        results.write(path, text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="RESULTS.json")
    parser.add_argument("-o", "--output", metavar="FILE", default="-",
                        help="write the page there (standard output)")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--keep", action="store_true",
                        help="write what the tree keeps of the results instead")
    chosen.add_argument("--update", action="store_true",
                        help="write both READMEs from what the tree keeps")
    options = parser.parse_args()
    if options.update and (options.files or options.output != "-"):
        parser.error("--update takes the files of the tree, and no others")
    if not options.update and not options.files:
        parser.error("a file of results is missing: bench/run --json writes one")
    try:
        if options.update:
            update()
            return 0
        document = results.join([results.read(path) for path in options.files])
        results.write(options.output,
                      results.as_text(figures.kept(document)) if options.keep
                      else page.write(document))
    except (results.BadDocument, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
