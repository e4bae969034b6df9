"""Figures as one self-contained page, or as a Markdown card: plain data in, text out.

markup   elements that escape     style   colours: light, dark, print     page     the page around all parts
svg      scales and drawing       bars    amounts beside two columns      curves   errors over depth
digits   numbers for people

facts    what is known of an export      choice   which file to take, and why
export   that as a page                  card     and as a model card

benchmarks/reports/html draws measurements with the same pieces.
"""
