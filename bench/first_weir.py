"""README's first program as a server of the comparison: its text as it stands
there, but that its port is in PORT.

Usage: first_weir.py README.md PROGRAM.c
"""
import re
import sys

PORT = "(uint16_t)strtoul(getenv(\"PORT\"), NULL, 10)"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        blocks = re.findall(r"^```c\n(.*?)^```$", file.read(), re.M | re.S)
    programs = [block for block in blocks if "int main(" in block]
    if not programs or programs[0].count("8888") != 1:
        sys.exit("README's first program has no port 8888")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("#include <stdint.h>\n#include <stdlib.h>\n"
                   + programs[0].replace("8888", PORT))


if __name__ == "__main__":
    main()
