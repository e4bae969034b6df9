"""The project's own hostile trial: networks nobody chose, defects nobody announced, commands cut short.

grammar.py       random modules, by seed; a finding is made smaller by leaving pieces out
pieces.py, layers.py, functions.py, wrappers.py     what they are made of
families.py                          small members of timm's families, by seed
judge.py                             an own opinion on a file: own sessions, own inputs, torch in float64
networks.py                          part 1: export them, and judge every file and every refusal
defects.py                           part 2: plant defects of every kind and size in the files
interruptions.py, aftermath.py      part 3: cut commands short, and look at what is left
found.py                             what was wrong, and is kept as a test
process.py                           commands in forks of one process that has everything imported
rows.py, page.py                     one JSON file for each row, and docs/trial.md, which is made of them
"""
