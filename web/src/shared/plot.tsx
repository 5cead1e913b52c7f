// A chart in the page's colours that follows its size and the light or dark scheme.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** A colour of the page, whatever the scheme (a canvas knows no light-dark()). */
export function colour(name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export interface Drawing {
  options: (size: { width: number; height: number }) => uPlot.Options;
  data: uPlot.AlignedData;
}

/** Drawn anew when its `options` are others; numbers alone are put into the chart that is there. */
export function Plot({ drawing: { options, data }, label }: { drawing: Drawing; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    const it = place.current;
    if (!it) return;
    const size = (): { width: number; height: number } => ({ width: it.clientWidth, height: it.clientHeight });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(size()), newest.current, it);
    };
    draw();
    const watch = new ResizeObserver(() => plot.current?.setSize(size()));
    watch.observe(it);
    dark.addEventListener("change", draw);
    return () => {
      watch.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [options]);
  useEffect(() => plot.current?.setData(data), [data]);
  return <div class="plot" ref={place} role="img" aria-label={label} />;
}

export const axes = (format: (at: number) => string, values: (n: number) => string): uPlot.Axis[] => {
  const style = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "13px system-ui, sans-serif" };
  return [
    { ...style, grid: { show: false }, size: 32, space: 76, values: (_, splits) => splits.map(format) },
    { ...style, size: 52, values: (_, splits) => splits.map((n) => values(n)) },
  ];
};
