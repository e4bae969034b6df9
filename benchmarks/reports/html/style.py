"""The page's style sheet. Colours are named once, for light and for dark, and plots use the same names."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark;
  --page: #ffffff; --panel: #f6f7f9; --ink: #1a1d21; --faint: #5c6570; --line: #d5dae0;
  --a: #1f6fb2; --b: #b3541e; --c: #2d7d46; --d: #7a4fa3; --bad: #b3261e; --mark: #8a6d00; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --panel: #1d2125; --ink: #e6e9ec; --faint: #9aa4ae; --line: #363d44;
  --a: #6cb2ee; --b: #ee9a63; --c: #74c68d; --d: #bd98e0; --bad: #f2867e; --mark: #d8b94a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--page); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: .2rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; } .faint, figcaption { color: var(--faint); font-size: .875rem; }
.figures { display: flex; flex-wrap: wrap; gap: .5rem; margin: .6rem 0; }
.figure { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .4rem .7rem; }
.figure b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.figure span { color: var(--faint); font-size: .8rem; }
.note { border-left: .25rem solid var(--mark); padding: .1rem .7rem; margin: .4rem 0; }
.bad { border-color: var(--bad); }
figure { margin: .6rem 0; max-width: 46rem; } svg { display: block; width: 100%; height: auto; }
svg text { font: 8px system-ui, sans-serif; fill: var(--faint); }
svg .strong { fill: var(--ink); } svg .axis { stroke: var(--line); fill: none; }
svg .a { fill: var(--a); } svg .b { fill: var(--b); } svg .c { fill: var(--c); } svg .d { fill: var(--d); }
svg .out { fill: var(--bad); } svg .void { fill: var(--line); fill-opacity: .5; }
svg .warm { fill: var(--line); fill-opacity: .25; }
svg .line-b { stroke: var(--b); stroke-width: 1.5; fill: none; }
svg .line-c { stroke: var(--c); stroke-width: 1.5; fill: none; stroke-dasharray: 5 3; }
svg .median { stroke: var(--ink); stroke-width: 1.5; }
@media (max-width: 48rem) { svg text { font-size: 11px; } }
@media (max-width: 30rem) { svg text { font-size: 14px; } }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--faint); font-weight: 500; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 40rem) {
  .summary tr:first-child { display: none; }
  .summary tr { display: block; padding: .3rem 0; border-bottom: 1px solid var(--line); }
  .summary td, .summary td.number { display: inline; border: 0; padding-right: .6rem; text-align: left; }
  .summary td:first-child { display: block; color: var(--ink); } .summary td { color: var(--faint); }
  .summary td.number { color: var(--ink); } }
details summary { cursor: pointer; color: var(--faint); margin: .6rem 0; }
"""
