"""mocovit-export and mocovit-parity.

main       arguments in, exit status out        runner     errors into exit statuses
parsers, export_options, option_value           the options, with examples
requests   arguments as an ExportRequest        config     options from a TOML file
export, parity, layers, contract, first_contract, ready, summary, sweep, report, measure   what a command does
output     notes, rows and JSON                 completion scripts for shells
"""
