"""
How a page looks: on a screen of any width, light or dark, and on paper.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --soft: #5b6570; --rule: #d5dae0; --faint: #eceff2;
  --mark: #1f5f99; --inner: #6fa3d0; --band: #dbe8f4; --other: #a0531c; --fail: #a3211d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e4e7ea; --soft: #9ba5af; --rule: #3a424a; --faint: #24292e;
    --mark: #8ec1ef; --inner: #3f78ab; --band: #1f3347; --other: #e0a073; --fail: #f08a80;
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --ink: #000000; --soft: #3c444b; --rule: #b5bcc3; --faint: #e3e6e9;
    --mark: #174a78; --inner: #6fa3d0; --band: #dbe8f4; --other: #86440f; --fail: #8d1a16;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.125rem; margin: 2.5rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--rule);
}
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 46rem; overflow-wrap: anywhere; }
.lead p { font-size: 1.125rem; font-weight: 600; line-height: 1.4; }
.soft, .notes p { color: var(--soft); }
.figures { display: grid; gap: 1.5rem 2.5rem; margin: 1rem 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; max-width: 34rem; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .25rem; overflow-wrap: anywhere; }
figcaption span { font-weight: 400; color: var(--soft); }
svg {
  display: block; width: 100%; height: auto; font-size: 12px; font-variant-numeric: tabular-nums;
}
text { fill: var(--ink); }
text.tick, text.name, text.side { fill: var(--soft); }
text.tick, text.side { font-size: 11px; }
text.label { font-size: 12.5px; }
text.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.axis { stroke: var(--soft); }
.grid { stroke: var(--faint); }
.reference { stroke: var(--ink); stroke-dasharray: 4 3; fill: none; }
.outer { stroke: var(--mark); stroke-width: 1.5; }
.inner { stroke: var(--inner); stroke-width: 7; }
.firm { fill: var(--mark); stroke: var(--paper); }
.open { fill: var(--paper); stroke: var(--mark); stroke-width: 1.75; }
.other { fill: var(--paper); stroke: var(--other); stroke-width: 1.75; }
.band { fill: var(--band); }
.edge { fill: none; stroke: var(--mark); stroke-width: 1; }
.course { fill: none; stroke: var(--mark); stroke-width: 2; stroke-linejoin: round; }
.hull { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.scroll { overflow-x: auto; margin: 0 0 1rem; }
.long { max-height: 22rem; overflow-y: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
th, td {
  padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--faint);
  text-align: left; vertical-align: top; white-space: nowrap;
}
th { border-bottom-color: var(--rule); color: var(--soft); font-weight: 600; font-size: .8125rem; }
th.n, td.n { text-align: right; }
td.wide { white-space: normal; min-width: 11rem; }
td.fail { color: var(--fail); font-weight: 700; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .scroll, .long { overflow: visible; max-height: none; }
  table { font-size: 8pt; }
  th, td { padding-right: .5rem; white-space: normal; }
  tr, figure, h2, h3 { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; gap: 1rem; }
}
"""
