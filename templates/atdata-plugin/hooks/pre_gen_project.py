"""Refuses a name that could not be the scheme of URLs, before anything is made."""

import re
import sys

NAME = "{{ cookiecutter.name }}"

if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", NAME):
    sys.exit(f"{NAME!r} is no name of a backend; take lower-case letters, digits and hyphens")
