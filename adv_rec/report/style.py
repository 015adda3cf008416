"""The look of the page: one style sheet, light, dark, narrow and printed."""

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1c2127; --soft: #5d6673; --line: #e1e5ea; --back: #ffffff;
  --quiet: #f6f7f9; --accent: #176fd9; --warn: #fdf3e1;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e8ebef; --soft: #a3adb9; --line: #2a3038; --back: #14171c;
    --quiet: #1b1f26; --accent: #6aa6f8; --warn: #33290f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main, footer { max-width: 1040px; margin: 0 auto; padding: 0 20px; }
main { padding-top: 56px; }
h1 {
  font-size: 2.1rem; line-height: 1.2; letter-spacing: -.02em;
  margin: 0 0 1rem; text-wrap: balance; overflow-wrap: anywhere;
}
h2 { font-size: 1.25rem; letter-spacing: -.01em; margin: 3.5rem 0 .5rem; }
p { max-width: 44em; margin: .5rem 0; }
.eyebrow { color: var(--soft); font-size: .85rem; margin: 0 0 .4rem; }
.note { color: var(--soft); font-size: .9rem; }
.warning { background: var(--warn); padding: .8rem 1rem; border-radius: 6px; }

.facts { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.6rem 0; }
.facts div { display: flex; flex-direction: column-reverse; }
.facts dt { color: var(--soft); font-size: .85rem; line-height: 1.3; }
.facts dd {
  margin: 0; font-size: 1.35rem; line-height: 1.3; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums;
}

.scroll { overflow-x: auto; margin: 1rem 0; }
table {
  border-collapse: collapse; width: 100%; font-size: .85rem;
  line-height: 1.35; font-variant-numeric: tabular-nums;
}
th, td { padding: .5rem .42rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.text { text-align: left; }
tbody .method, thead .method {
  position: sticky; left: 0; background: var(--back);
  background-clip: padding-box;  /* else it covers the rules of the table */
}
thead th { font-weight: 500; color: var(--soft); vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
thead .group {
  text-align: left; color: var(--ink); font-weight: 600; padding-bottom: 0;
}
tbody th { font-weight: 500; }
tbody td, tbody th { border-bottom: 1px solid var(--line); }
tbody .apart {
  color: var(--soft); font-weight: 500; padding-top: 1.4rem; text-align: left;
}
.lead { padding-left: 1.1rem; }
.method { white-space: normal; min-width: 9rem; max-width: 17rem; }
.method small { display: block; color: var(--soft); font-weight: 400; }
b { font-weight: 700; }
.missing { color: var(--soft); }

.charts {
  display: grid; gap: 2rem 2.5rem; margin: 1.4rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr));
}
figure { margin: 0; max-width: 640px; }
.charts svg { display: block; width: 100%; height: auto; }

details { margin: .6rem 0; font-size: .9rem; }
summary { cursor: pointer; color: var(--accent); overflow-wrap: anywhere; }
summary span { color: var(--soft); margin-left: .5em; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.pairs {
  display: grid; grid-template-columns: max-content minmax(0, 1fr);
  gap: .2rem 1.2rem; margin: .8rem 0; line-height: 1.45;
}
.pairs dt { color: var(--soft); }
.pairs dd { margin: 0; overflow-wrap: anywhere; }
pre {
  background: var(--quiet); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; margin: .6rem 0;
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
footer {
  margin-top: 4rem; margin-bottom: 4rem; color: var(--soft);
  font-size: .9rem;
}
footer > div { border-top: 1px solid var(--line); padding-top: 1.2rem; }
footer h2 { margin: 0 0 .5rem; font-size: 1rem; color: var(--ink); }

@media (max-width: 600px) {
  main { padding-top: 32px; }
  h1 { font-size: 1.6rem; }
  .facts { gap: .8rem 1.6rem; }
  .facts dd { font-size: 1.15rem; }
  .method { min-width: 7rem; max-width: 8.5rem; }
  .pairs { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .pairs dd { margin-bottom: .6rem; }
}
@media print {
  body { font-size: 10.5pt; }
  main { padding-top: 0; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: .3rem .3rem; }
  tbody .method, thead .method { position: static; }
  figure, tr, .facts { break-inside: avoid; }
  h2 { break-after: avoid; }
  .charts { grid-template-columns: 1fr 1fr; gap: 1rem; }
}
"""
