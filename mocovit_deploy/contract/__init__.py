"""What must hold of exported files, written down in a `parity.toml`, and the check of it.

read      the file as frozen data; everything that does not fit is refused
files     the files it names: found from an earlier run, or exported
evidence  what is looked at to judge one file, each thing once
bounds    one function and one word each
check     measured against bound: pass, fail or not run
reports   text, JSON, JUnit XML and Markdown
"""
