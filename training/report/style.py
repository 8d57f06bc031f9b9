"""The look of the page: one style sheet for bright and dark screens and for paper, without any other file.

The two models are told apart by colour, and by a solid and a dashed line where colours are not seen or not
printed. The colours are of the palette of Okabe and Ito, which people with colour blindness tell apart:
https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

_BRIGHT = """
--paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--panel:#f6f8fa;
--challenger:#0063a3;--champion:#c24e00;--one:#0063a3;--zero:#8a6d00;
--good:#00684d;--bad:#b3261e;--heat:0 99 163;
"""
_DARK = """
--paper:#14171a;--ink:#e6e9ec;--soft:#a3adb7;--line:#343a41;--panel:#1d2226;
--challenger:#6cbcf5;--champion:#f0a04b;--one:#6cbcf5;--zero:#e3c84a;
--good:#4ecba5;--bad:#ff8a80;--heat:108 188 245;
"""

_VARIABLES = (
    f":root{{color-scheme:light dark;{_BRIGHT}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
)
_RULES = """
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--ink);
background:var(--paper);max-width:68rem;margin:0 auto;padding:1.5rem 1.2rem 4rem;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;margin:.1rem 0 .4rem}
h2{font-size:1.15rem;margin:2.6rem 0 .3rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:.95rem;margin:1.2rem 0 .4rem}
p{margin:.3rem 0 .7rem;max-width:48rem}p.soft,.soft{color:var(--soft)}small{color:var(--soft)}
.verdict{border-left:.35rem solid;padding:.7rem 1rem;background:var(--panel);margin:0 0 1rem}
.verdict p{margin:0;max-width:none}.verdict .about{color:var(--soft);margin-top:.3rem;font-size:.9rem}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}
.good{color:var(--good)}.bad{color:var(--bad)}.verdict.good,.verdict.bad{color:inherit}
.good>b:first-child,.bad>b:first-child{white-space:nowrap}
.facts{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}
.facts div{flex:1 1 9.5rem;max-width:16rem;
border:1px solid var(--line);border-radius:.4rem;padding:.45rem .7rem}
.facts small{display:block;line-height:1.3}.facts b{font-size:1.2rem;font-variant-numeric:tabular-nums}
nav{font-size:.88rem;margin:.6rem 0}nav a{margin-right:.9rem}a{color:var(--challenger)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:.5rem 0 .8rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0;font-size:.85rem}
th,td{padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-weight:600}thead th{color:var(--soft);font-weight:500;font-size:.83rem;vertical-align:bottom}
.n{text-align:right;white-space:nowrap}
td.bar{padding:.1rem .7rem .1rem 0;vertical-align:middle}td.bar svg{min-width:9rem}
.k{white-space:nowrap}td.words{min-width:15rem}tbody th{min-width:6.5rem}
dl{display:grid;grid-template-columns:minmax(9rem,max-content) 1fr;gap:.2rem 1.2rem;margin:.5rem 0;
font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;min-width:0;overflow-wrap:anywhere}
code{font:.86em/1.4 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
ul{margin:.3rem 0;padding-left:1.2rem}details{margin:.4rem 0;font-size:.9rem}summary{cursor:pointer}
.figures{display:flex;flex-wrap:wrap;gap:.6rem 1.6rem}.figures figure{flex:0 1 20.6rem}
figure{margin:.7rem 0;min-width:0;max-width:100%}figcaption{font-weight:600;font-size:.92rem;line-height:1.35;
margin-bottom:.5rem}
figcaption small{display:block;font-weight:400}
table.confusion td.cell{text-align:right;padding:.35rem .6rem;border:2px solid var(--paper);min-width:3.6rem}
table.confusion td.cell small{display:block;color:inherit;opacity:.8}
table.confusion th{padding-right:.6rem}table.confusion thead th{text-align:right}
table.confusion thead th:first-child{text-align:left}
svg.chart{display:block;max-width:100%;height:auto}
svg text{font:11.5px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--soft)}
svg text.key,svg text.name{fill:var(--ink)}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.reference{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3;fill:none}
.curve{fill:none;stroke-width:2;stroke-linejoin:round}
.curve.challenger{stroke:var(--challenger)}.curve.champion{stroke:var(--champion);stroke-dasharray:6 3}
.curve.one{stroke:var(--one)}.curve.zero{stroke:var(--zero);stroke-dasharray:6 3}
.area{fill-opacity:.13}.area.challenger,.area.one{fill:var(--challenger)}
.area.champion{fill:var(--champion)}.area.zero{fill:var(--zero)}
.dot{stroke:var(--paper);stroke-width:1}.dot.challenger{fill:var(--challenger)}.dot.champion{fill:var(--champion)}
.dots{fill:none;stroke-width:4.5;stroke-linecap:round;stroke-opacity:.45}
.dots.challenger{stroke:var(--challenger)}.dots.champion{stroke:var(--champion)}
.hover{fill:transparent}.hover:hover{fill:var(--soft);fill-opacity:.15}
.fill{fill:var(--challenger);fill-opacity:.3}.fill.bad{fill:var(--bad)}.fill.good{fill:var(--good)}
.mark{fill:var(--challenger)}.mark.bad{fill:var(--bad)}.mark.good{fill:var(--good)}
.reach{stroke:var(--challenger);stroke-width:2}.reach.bad{stroke:var(--bad)}.reach.good{stroke:var(--good)}
.zeroline{stroke:var(--soft);stroke-width:1}.limit{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:3 2}
footer{margin-top:3rem;padding-top:.6rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
@media print{body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}
.figures{display:block}.figures figure{display:inline-block;width:47%;vertical-align:top;margin-right:2%}
figure,tr,.verdict,.facts div{break-inside:avoid}h2,h3{break-after:avoid}.wide{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_SHADES = "".join(f".h{i}{{background:rgb(var(--heat)/{i * 0.06:.2f})}}" for i in range(11))

STYLE = _VARIABLES + _RULES + _SHADES
