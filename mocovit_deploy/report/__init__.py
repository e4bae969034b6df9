"""Figures as one self-contained page, or as a Markdown card: plain data in, text out.

markup   elements that escape     style   colours: light, dark, print     page     the page around all parts
svg      scales and drawing       bars    horizontal bars                 curves   errors over depth, Pareto
digits   numbers for people       order   intervals for any distribution

facts    what is known of an export      choice      which file to take, and why
export   the facts as a page             card        the facts as a model card
words    text that both share            delegates   what delegates take of each file
request  what the user asked for         commit      the version of this code

benchmarks/reports/html draws measurements with the same pieces.
"""
