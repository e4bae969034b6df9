"""The style sheet of all pages. Colours have names, with values for light, dark and paper; plots use the
names."""

from __future__ import annotations

_LIGHT = """--page: #ffffff; --panel: #f5f6f8; --ink: #1a1d21; --faint: #59626c; --line: #d5dae0;
  --a: #1f6fb2; --b: #b3541e; --c: #2d7d46; --d: #7a4fa3; --bad: #b3261e; --mark: #8a6d00; --good: #2d7d46;"""
_DARK = """--page: #14171a; --panel: #1d2125; --ink: #e6e9ec; --faint: #9aa4ae; --line: #363d44;
  --a: #6cb2ee; --b: #ee9a63; --c: #74c68d; --d: #bd98e0; --bad: #f2867e; --mark: #d8b94a; --good: #74c68d;"""

CSS = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ scroll-behavior: smooth; }}
body {{ margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 58rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 .6rem; }}
h2 {{ font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 1.4rem 0 .3rem; }}
p {{ margin: .4rem 0; max-width: 46rem; }} ul {{ margin: .4rem 0; padding-left: 1.2rem; }}
a {{ color: var(--a); text-underline-offset: .15em; }}
.faint, figcaption {{ color: var(--faint); font-size: .875rem; }} figcaption {{ max-width: 46rem; }}
nav {{ display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 1rem 0; font-size: .875rem; }}
h2 .top {{ float: right; font-size: .8rem; font-weight: 400; margin-left: 1rem; }}
.figures {{ display: flex; flex-wrap: wrap; gap: .5rem; margin: .6rem 0; }}
.figure {{ background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .4rem .7rem; }}
.figure b {{ display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }}
.figure span {{ color: var(--faint); font-size: .8rem; }}
.note {{ border-left: .25rem solid var(--mark); background: var(--panel); padding: .35rem .7rem;
  margin: .5rem 0; max-width: none; }}
.bad {{ border-color: var(--bad); }} .good {{ border-color: var(--good); }}
.good b, .headline b {{ font-size: 1.1rem; }}
figure {{ margin: .8rem 0; max-width: 46rem; }} svg {{ display: block; width: 100%; height: auto; }}
svg text {{ font: 8px system-ui, sans-serif; fill: var(--faint); }}
svg .strong {{ fill: var(--ink); stroke: var(--page); stroke-width: 3px; paint-order: stroke; }}
svg .axis {{ stroke: var(--line); fill: none; }}
.a {{ --own: var(--a); }} .b {{ --own: var(--b); }} .c {{ --own: var(--c); }} .d {{ --own: var(--d); }}
.out {{ --own: var(--bad); }}
svg .a, svg .b, svg .c, svg .d, svg .out {{ fill: var(--own); }}
svg .dots {{ fill: none; stroke: var(--own); stroke-width: 3; stroke-linecap: round; }}
svg .curve {{ fill: none; stroke: var(--own); stroke-width: 1.4; stroke-linejoin: round; }}
svg .bound {{ fill: none; stroke: var(--own); stroke-width: 1; stroke-dasharray: 5 3; }}
svg .hollow {{ fill: var(--page); stroke: var(--own); stroke-width: 1.4; }}
svg .void {{ fill: var(--line); fill-opacity: .5; }} svg .warm {{ fill: var(--line); fill-opacity: .25; }}
svg .median {{ stroke: var(--ink); stroke-width: 1.5; }}
svg .front {{ fill: none; stroke: var(--faint); stroke-dasharray: 2 2; }}
@media (max-width: 48rem) {{ svg text {{ font-size: 11px; }} }}
@media (max-width: 30rem) {{ svg text {{ font-size: 14px; }} }}
.legend {{ display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .875rem; margin: .3rem 0; padding: 0;
  list-style: none; }}
.legend li::before {{ content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem;
  border-radius: .15rem; vertical-align: -.08rem; background: var(--own);
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .875rem; width: 100%; max-width: 46rem; margin: .4rem 0; }}
table.stacked {{ max-width: none; }} tr.sum td {{ font-weight: 600; }}
th, td {{ text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
th {{ color: var(--faint); font-weight: 500; overflow-wrap: normal; }}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.stacked td {{ overflow-wrap: normal; }}
.stacked td:first-child {{ overflow-wrap: break-word; min-width: 12.5rem; }}
.name {{ display: inline-block; }}
.stacked td:last-child, .stacked th:last-child {{ padding-right: 0; }}
.bars td {{ padding-right: .8rem; }} .bars td.number {{ width: 1%; }}
.bars td.of {{ width: 30%; padding-right: 0; vertical-align: middle; }}
.bars td.of span {{ display: block; height: .6rem; min-width: 1px; border-radius: .15rem;
  background: var(--own); print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
.bars td:nth-child(2) {{ color: var(--faint); }}
@media screen and (max-width: 40rem) {{
  .stacked thead {{ display: none; }}
  .stacked tr {{ display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }}
  .stacked td, .stacked td.number {{ display: inline-block; border: 0; padding: 0 .9rem 0 0; text-align: left;
    white-space: normal; }}
  .stacked td:first-child {{ display: block; font-weight: 500; min-width: 0; }}
  .stacked td[data-title]::before {{ content: attr(data-title) " "; color: var(--faint); }}
  .bars tr {{ display: grid; grid-template-columns: 1fr auto; padding: .3rem 0;
    border-bottom: 1px solid var(--line); }}
  .bars td, .bars td.number, .bars td.of {{ border: 0; padding: 0; width: auto; }}
  .bars td:nth-child(2) {{ grid-row: 2; padding-right: 1rem; }}
  .bars td.of {{ grid-row: 2; width: 9rem; align-self: center; justify-self: end; }} }}
details {{ margin: .15rem 0; }} details summary {{ cursor: pointer; color: var(--faint); padding: .15rem 0; }}
.lines {{ columns: 20rem 2; column-gap: 2rem; font-size: .875rem; margin: .2rem 0 .8rem; }}
.lines li {{ break-inside: avoid; }}
@page {{ margin: 15mm; }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10pt; }} nav, .top {{ display: none; }}
  a {{ color: inherit; text-decoration: none; }}
  h2, h3 {{ break-after: avoid; }} figure, .figures, .note, tr {{ break-inside: avoid; }}
  figure:has(table) {{ break-inside: auto; }} .scroll {{ overflow: visible; }}
  table, .lines {{ font-size: 8.5pt; }}
  details::details-content {{ content-visibility: visible; block-size: auto; }}
  svg text {{ font-size: 8px; }} }}
"""
