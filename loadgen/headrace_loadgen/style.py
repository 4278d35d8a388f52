"""How the pages of `loadgen --report` look: light, dark, narrow, printed."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #57606a; --ground: #fff; --panel: #f5f7f9;
  --line: #d5dae0; --good: #0b62b8; --bad: #b3400f; --one: #0b62b8; --two: #b3400f;
  --three: #0f7a5a }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #a3adb8; --ground: #14171a;
  --panel: #1d2226; --line: #3a424b; --good: #6cb6ff; --bad: #ffa066; --one: #6cb6ff;
  --two: #ffa066; --three: #5fd3ac } }
* { box-sizing: border-box }
body { margin: 0; color: var(--ink); background: var(--ground);
  font: 15px/1.5 system-ui, sans-serif }
main { margin: 0 auto; padding: 24px 16px 48px; max-width: 900px }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 }
h2 { font-size: 1.15rem; margin: 36px 0 8px }
.verdict { font-weight: 700 } .pass { color: var(--good) } .fail { color: var(--bad) }
.soft { color: var(--soft) } p { margin: 4px 0 8px }
:focus-visible { outline: 2px solid var(--one); outline-offset: 2px }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0 0; padding: 0 }
.tiles div { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: 8px 12px }
.tiles dt { color: var(--soft); font-size: .87rem }
.tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums }
.tiles small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: middle; white-space: nowrap }
thead th { color: var(--soft); font-weight: 600; font-size: .87rem; vertical-align: bottom }
th:first-child, td:first-child { text-align: left; font-weight: 600 }
td.words { white-space: normal }
table.plain td { text-align: left; overflow-wrap: anywhere; white-space: normal }
table.plain td:first-child { white-space: nowrap; font-weight: 400; color: var(--soft); width: 1% }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr));
  gap: 0 40px }
.chart { display: grid; grid-template-columns: 56px 1fr; margin: 26px 20px 4px 0 }
.plot { position: relative; height: 230px }
.plot svg { width: 100%; height: 100%; display: block; overflow: visible }
.ys { position: relative } .xs { grid-column: 2; position: relative; height: 22px }
.ys span, .xs span { position: absolute; font-size: 12px; line-height: 1; color: var(--soft);
  white-space: nowrap }
.ys span { right: 8px; transform: translateY(50%) }
.xs span { top: 8px; transform: translateX(-50%) }
path { fill: none; vector-effect: non-scaling-stroke }
.grid { stroke: var(--line); stroke-width: 1 }
.line { stroke: var(--one); stroke-width: 2; stroke-linejoin: round }
.dots { stroke: var(--one); stroke-width: 4; stroke-linecap: round }
.two { stroke: var(--two) } .line.two { stroke-dasharray: 7 4 }
.three { stroke: var(--three) } .line.three { stroke-dasharray: 2 4 }
.dots.fail { stroke: var(--bad); stroke-width: 12 } .dots.held { stroke-width: 12 }
.dots.hole { stroke: var(--ground); stroke-width: 7 }
.limit { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 8 5 }
.limit-words { position: absolute; right: 0; padding: 0 4px 2px; font-size: 12px; line-height: 1.2;
  color: var(--bad) }
.limit-words.left { right: auto; left: 0 }
.mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 3 }
.badge { position: absolute; top: -20px; transform: translateX(-50%); min-width: 20px;
  padding: 2px 5px; border-radius: 10px; background: var(--ink); color: var(--ground);
  font-size: 11px; line-height: 16px; text-align: center }
.events { margin: 8px 0; padding-left: 28px; columns: 2 320px; font-size: .93rem }
.events b { display: inline-block; min-width: 58px; font-variant-numeric: tabular-nums }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 4px 0; padding: 0;
  list-style: none; font-size: .93rem }
.legend svg { width: 34px; height: 14px; vertical-align: -2px; margin-right: 6px }
.spark { width: 76px; height: 22px; vertical-align: middle; margin-left: 8px }
.spark .line { stroke-width: 1.5 } .area { fill: var(--one); opacity: .18 }
details { margin: 8px 0 } summary { cursor: pointer; color: var(--soft) }
code, pre { font-family: ui-monospace, monospace; font-size: .92em }
pre { margin: 0; padding: 10px 12px; background: var(--panel); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere }
@media screen and (max-width: 640px) {
  .chart { grid-template-columns: 48px 1fr; margin-right: 12px } .plot { height: 190px }
  table.cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%) }
  table.cards, table.cards tbody, table.cards tr, table.cards td { display: block; width: 100% }
  table.cards tr { border: 1px solid var(--line); border-radius: 6px; margin-bottom: 10px;
    padding: 4px 0 }
  table.cards td { display: flex; justify-content: space-between; gap: 16px; border: 0;
    padding: 3px 12px; white-space: normal }
  table.cards td:first-child { font-size: 1.05em }
  table.cards td:not(:first-child)::before { content: attr(data-name); color: var(--soft) }
  table.cards td:empty { display: none }
  table.plain td { display: block; width: auto; padding: 3px 0 }
  table.plain td:first-child { border: 0 }
}
@page { margin: 14mm }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --ground: #fff; --panel: #fff;
    --line: #bbb; --good: #0b4a8a; --bad: #8a2f08; --one: #0b4a8a; --two: #8a2f08;
    --three: #0a5a42 }
  html { font-size: 12px } body { font-size: 11px; print-color-adjust: exact }
  main { padding: 0; max-width: none }
  h2 { break-after: avoid; margin: 20px 0 4px } .chart, tr, .tiles div { break-inside: avoid }
  th, td { padding: 3px 6px } .scroll { overflow: visible } .plot { height: 190px }
  details::details-content { content-visibility: visible }
}
"""
