// style.ts: the style sheet of a report, in one text, so that report.html needs no other file. Light and dark follow the
// reader's system; tables scroll inside their own box on a phone.

export const REPORT_STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1f2328;--soft:#5d6570;--rule:#dcd9d1;--good:#1a7f5a;--bad:#b4372f;--warn:#8a5a00;
--c0:#2f6fb2;--c1:#c2571a;--c2:#1a7f5a;--c3:#7a4bb0;--c4:#8a6d00;--c5:#a8325e}
@media(prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1c2026;--ink:#e7e6e1;--soft:#9da5ae;--rule:#343a42;--good:#56c596;--bad:#f0857c;--warn:#e0b45c;
--c0:#74b0ef;--c1:#f0975a;--c2:#56c596;--c3:#b794e6;--c4:#d9bd4a;--c5:#ef86ab}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}h3 .soft{font-weight:400}
p{margin:.4rem 0}
.soft{color:var(--soft)}
.state{display:inline-block;padding:0 .55em;border:1px solid currentColor;border-radius:1em;font-size:.85rem}
.finished,.good{color:var(--good)}.failed,.bad{color:var(--bad)}.stopped,.warning{color:var(--warn)}
.notice{border-left:4px solid var(--warn);background:var(--card);padding:.6rem .9rem;border-radius:0 6px 6px 0}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;width:100%;font-size:.92rem;background:var(--card)}
table.narrow{width:auto;min-width:min(100%,24rem)}
caption{text-align:left;color:var(--soft);font-size:.88rem;padding:.2rem 0}
th,td{padding:.38rem .6rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
th{font-weight:600;vertical-align:bottom}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.n{white-space:nowrap}
td.list{white-space:normal}td.n>.soft{display:block}
.name{min-width:9.5rem}
.bar{min-width:8rem;width:24%}
.bar svg{display:block;width:100%;height:1.1rem}
.bar .track{fill:var(--rule);opacity:.55}.bar .mean{fill:var(--c0)}.bar .range{stroke:var(--ink);stroke-width:1.2}
figure{margin:1rem 0;max-width:40rem;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.7rem}
figcaption{font-weight:600;margin-bottom:.2rem}
figure svg{width:100%;height:auto;display:block}
figure text{fill:var(--soft);font-size:12px;font-family:inherit}
.charts{display:grid;gap:0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
${[0, 1, 2, 3, 4, 5]
  .map(
    (i) =>
      `.line-${i}{fill:none;stroke:var(--c${i});stroke-width:1.8;stroke-linejoin:round}.dot-${i},.bar-${i}{fill:var(--c${i})}.key-${i}{--key:var(--c${i});background:var(--key)}`,
  )
  .join('')}
.dash{stroke-dasharray:5 3}.value{fill:var(--ink);font-size:10px}.range{stroke:var(--ink);stroke-width:1.2}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.2rem 0 0;font-size:.88rem}
.legend i{display:inline-block;width:1.1em;height:3px;margin-right:.4em;vertical-align:middle}
.legend i.dash{background:repeating-linear-gradient(90deg,var(--key) 0 5px,transparent 5px 8px)}
ul{margin:.4rem 0;padding-left:1.3rem}li{margin:.25rem 0}
.marks{white-space:nowrap}
details{margin:.5rem 0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.5rem .8rem}
summary{cursor:pointer;font-weight:600;overflow-wrap:anywhere}
summary.plain{font-weight:400}
summary:focus-visible,a:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.86rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:.3rem 0}
.answers{display:grid;gap:.6rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr))}
.answer{border:1px solid var(--rule);border-radius:6px;padding:.45rem .65rem}
.answer b{font-size:.88rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0;font-size:.92rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:34rem){table{font-size:.8rem}th,td{padding:.3rem .28rem}.name{min-width:6.5rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}.bar{display:none}}
@media print{details{break-inside:avoid}body{background:#fff}}
`.trim();
