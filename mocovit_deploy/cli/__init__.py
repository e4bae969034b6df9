"""mocovit-export and mocovit-parity.

main       arguments in, exit status out        parsers    the options, with examples
export, parity, layers, contract, summary   what one command does
output     notes, rows and JSON
"""
