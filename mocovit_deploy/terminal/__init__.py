"""What a person reads while a command runs.

progress   stages and their seconds        quiet       silence for chatty libraries
table      text and Markdown tables        printable   control characters made visible
colour     of verdicts, on terminals alone
"""
