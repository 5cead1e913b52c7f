// What was seen of a campaign since the page was opened: who answers, who is abandoned, how busy its agents are.

import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import { exactClock, locale, percent, t } from "../shared/i18n";
import { axes, colour, type Drawing, Plot } from "../shared/plot";
import type { Sample } from "./state";

type Part = (sample: Sample) => number | null;

const line = (name: string, dashed = false): uPlot.Series => ({
  stroke: colour(name),
  width: dashed ? 2 : 2.5,
  points: { show: false },
  ...(dashed ? { dash: [6, 4] } : {}),
});

/** `most`: the least that the axis reaches. */
const shares = (most: number, digits: number, series: () => uPlot.Series[]): Drawing["options"] => (size) => ({
  ...size,
  padding: [null, 34, null, null], // so much of the last moment's words goes beyond the axis
  legend: { show: false },
  cursor: { show: false },
  scales: { y: { range: (_, __, top) => [0, Math.min(1, Math.max(most, (top ?? 0) * 1.2))] } },
  axes: axes(exactClock, (n) => percent(n, digits)),
  series: [{}, ...series()],
});

interface ChartOf {
  test: string;
  title: string;
  now: string;
  keys: [string, string][];
  samples: Sample[];
  parts: Part[];
  options: Drawing["options"];
}

function Chart({ test, title, now, keys, samples, parts, options }: ChartOf) {
  const data = useMemo(
    (): uPlot.AlignedData => [samples.map(({ at }) => at), ...parts.map((part) => samples.map(part))],
    [samples],
  );
  return (
    <section class="chart" data-test={test}>
      <h3>
        {title} <strong class="time">{now}</strong>
        {keys.map(([kind, words]) => (
          <span key={kind} class={`key ${kind}`}>
            {words}
          </span>
        ))}
      </h3>
      <Plot drawing={{ options, data }} label={`${title}: ${now}`} />
    </section>
  );
}

const shown = (part: number | null | undefined, digits = 0): string => (part == null ? "–" : percent(part, digits));

export function Charts({ samples, rings }: { samples: Sample[]; rings: boolean }) {
  const last = samples.at(-1);
  const ceiling = last?.ceiling ?? 0.03;
  const language = locale.value;
  const rates = useMemo(() => shares(0.5, 0, () => [line("--accent")]), [language]);
  const abandoned = useMemo(() => shares(ceiling * 1.6, 1, () => [line("--accent"), line("--bad", true)]), [language, ceiling]);
  const occupancies = useMemo(() => shares(1, 0, () => [line("--accent")]), [language]);
  return (
    <div class="charts" data-test="charts" data-samples={samples.length}>
      {rings && (
        <Chart
          test="chart-answers"
          title={t("camp.answer-rate")}
          now={shown(last?.rate)}
          keys={[]}
          samples={samples}
          parts={[({ rate }) => rate]}
          options={rates}
        />
      )}
      {rings && (
        <Chart
          test="chart-abandoned"
          title={t("camp.abandoned")}
          now={shown(last?.share, 1)}
          keys={[["ceiling", t("camp.ceiling-at", { p: percent(ceiling, 1) })]]}
          samples={samples}
          parts={[({ share }) => share, (sample) => sample.ceiling]}
          options={abandoned}
        />
      )}
      <Chart
        test="chart-occupancy"
        title={t("camp.occupancy")}
        now={shown(last?.occupancy)}
        keys={[]}
        samples={samples}
        parts={[({ occupancy }) => occupancy]}
        options={occupancies}
      />
    </div>
  );
}
