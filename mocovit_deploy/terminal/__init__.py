"""Output for people while a command runs, and interruptions of it.

progress   stages and their seconds        quiet       silence for chatty libraries
table      text and Markdown tables        printable   control characters made visible
colour     verdicts in colour, on terminals only
deadline   the time after which a command ends      interrupts   Ctrl-C and SIGTERM
"""
