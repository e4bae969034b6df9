"""What a person reads while a command runs.

progress   stages and their seconds        quiet       silence for chatty libraries
table      text and Markdown tables        printable   control characters made visible
colour     verdicts in colour, on terminals only
deadline   the time after which a command ends      interrupts   Ctrl-C and SIGTERM
"""
