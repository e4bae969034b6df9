"""Contracts: bounds on exported files in a `parity.toml`, and the check of them.

read      the contract as frozen data; mistakes in it are refused
files     the files it names: found from an earlier run, or exported
evidence  the facts about one file that bounds are measured on, each found once
bounds    one function for each bound
check     compares measurements with bounds: pass, fail or not run
first     writes a first contract for existing files
reports   text, JSON, JUnit XML and Markdown
"""
