#!/usr/bin/env python3
"""Draw kept results of bench/run: a page of HTML, or the figures of README.

    bench/report.py RESULTS.json... > PAGE.html    one page of one run or more
    bench/report.py --readme RESULTS.json          README's section of figures
    bench/report.py --readme RESULTS.json --write README.md
    bench/report.py --keep RESULTS.json -o bench/results.json   what README shows
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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="RESULTS.json")
    parser.add_argument("-o", "--output", metavar="PAGE.html",
                        help="write the page there (standard output)")
    parser.add_argument("--readme", action="store_true",
                        help="write README's section of figures instead")
    parser.add_argument("--keep", action="store_true",
                        help="write what README shows of the results instead")
    parser.add_argument("--write", metavar="README.md",
                        help="with --readme: put it in its place there")
    options = parser.parse_args()
    if options.write and not options.readme:
        parser.error("--write belongs to --readme")
    try:
        document = results.join([results.read(path) for path in options.files])
        if options.keep:
            text = results.as_text(figures.kept(document))
        else:
            text = (figures.section(document) if options.readme
                    else page.write(document))
        if options.write:
            with open(options.write, encoding="utf-8") as file:
                text = figures.replace(file.read(), text)
        results.write(options.write or options.output or "-", text)
    except (results.BadDocument, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
