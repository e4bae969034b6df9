"""What must hold of exported files, written down in a `parity.toml`, and the check of it.

read.py       the file as frozen data; everything that does not fit is refused
build.py      the files it speaks of: found where they were made before, or exported
evidence.py   what is looked at to judge one file, each thing once
measure.py    the bounds: one function and one word each
check.py      measured against bound: pass, fail or not run
as_json.py, junit.py, markdown.py, text.py   one report each
command.py    mocovit-parity --contract
"""
