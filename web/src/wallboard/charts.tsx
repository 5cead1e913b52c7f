import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { get } from "../shared/api";
import { axes, colour, type Drawing, Plot } from "../shared/plot";
import { clock, day, locale, percent, shortClock, shortDay, t } from "../shared/i18n";

interface Interval {
  start: number | string;
  key?: string;
  arrived?: number;
  answered?: number;
  abandoned?: number;
  in_target?: number;
}

interface Point {
  at: number;
  arrived: number;
  answered: number;
  abandoned: number;
  in_target: number;
}

const EVERY_MS = 60_000;
const HALF_HOUR = 1800;

const seconds = (start: number | string): number => (typeof start === "number" ? start : Date.parse(start) / 1000);

/** Sum the queues into buckets that begin where `bucket` says. */
function sum(items: Interval[], bucket: (at: number) => number, starts: number[]): Point[] {
  const points = new Map(starts.map((at) => [at, { at, arrived: 0, answered: 0, abandoned: 0, in_target: 0 }]));
  for (const item of items) {
    const point = points.get(bucket(seconds(item.start)));
    if (!point) continue;
    point.arrived += item.arrived ?? 0;
    point.answered += item.answered ?? 0;
    point.abandoned += item.abandoned ?? 0;
    point.in_target += item.in_target ?? 0;
  }
  return [...points.values()];
}

const midnight = (at: number): number => {
  const date = new Date(at * 1000);
  date.setHours(0, 0, 0, 0);
  return date.getTime() / 1000;
};

const levelOf = (point: Point): number | null => {
  const ended = point.answered + point.abandoned;
  return ended ? point.in_target / ended : null;
};

async function ask(from: number, to: number, minutes: number): Promise<Interval[]> {
  const query = new URLSearchParams({ from: String(from), to: String(to), minutes: String(minutes), by: "queue" });
  return (await get<{ items: Interval[] }>(`/v1/reports/intervals?${query}`)).items;
}

async function lastDay(now: number): Promise<Point[]> {
  const end = Math.ceil(now / HALF_HOUR) * HALF_HOUR;
  const starts = Array.from({ length: 48 }, (_, i) => end - (48 - i) * HALF_HOUR);
  return sum(await ask(end - 48 * HALF_HOUR, end, 30), (at) => Math.floor(at / HALF_HOUR) * HALF_HOUR, starts);
}

async function lastDays(now: number): Promise<Point[]> {
  const today = new Date(midnight(now) * 1000);
  const starts = Array.from({ length: 14 }, (_, i) => {
    const date = new Date(today);
    date.setDate(date.getDate() - (13 - i)); // by calendar, so that a change of the clocks moves nothing
    return date.getTime() / 1000;
  });
  return sum(await ask(starts[0] ?? 0, Math.ceil(now / 3600) * 3600, 60), midnight, starts);
}

function volume(points: Point[]): Drawing {
  const steps = uPlot.paths.stepped?.({ align: 1 });
  return {
    data: [points.map((p) => p.at), points.map((p) => p.arrived), points.map((p) => p.answered)],
    options: (size) => ({
      ...size,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
      axes: axes(shortClock, (n) => (Number.isInteger(n) ? String(n) : "")),
      series: [
        {},
        { label: t("board.came"), stroke: colour("--soft"), width: 2, dash: [6, 4], points: { show: false }, ...(steps ? { paths: steps } : {}) },
        {
          label: t("board.answered"),
          stroke: colour("--accent"),
          fill: colour("--accent-soft"),
          width: 2.5,
          points: { show: false },
          ...(steps ? { paths: steps } : {}),
        },
      ],
    }),
  };
}

function levels(points: Point[]): Drawing {
  return {
    data: [points.map((p) => p.at), points.map(levelOf)],
    options: (size) => ({
      ...size,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: [0, 1] } },
      axes: axes((at) => shortDay(at), percent),
      series: [
        {},
        {
          label: t("board.level"),
          stroke: colour("--accent"),
          width: 3,
          spanGaps: true,
          points: { show: true, size: 8, fill: colour("--accent") },
        },
      ],
    }),
  };
}

export function Charts({ tv, now }: { tv: boolean; now: () => number }) {
  const [volumes, setVolumes] = useState<Point[] | null>(null);
  const [days, setDays] = useState<Point[] | null>(null);
  useEffect(() => {
    const ask = (): void => {
      lastDay(now()).then(setVolumes, () => {});
      lastDays(now()).then(setDays, () => {});
    };
    ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="charts">
      {volumes && <Volume points={volumes} tv={tv} key={`v-${locale.value}`} />}
      {days && <Levels points={days} tv={tv} key={`l-${locale.value}`} />}
    </div>
  );
}

/** A drawing is made anew only when its numbers are. */
function useDrawing(points: Point[], make: (points: Point[]) => Drawing): Drawing {
  const kept = useRef<{ points: Point[]; drawing: Drawing } | null>(null);
  if (kept.current?.points !== points) kept.current = { points, drawing: make(points) };
  return kept.current.drawing;
}

function Volume({ points, tv }: { points: Point[]; tv: boolean }) {
  return (
    <section class="chart" data-test="chart-volume">
      <h2>
        {t("board.volume")}
        <span class="key arrived">{t("board.came")}</span>
        <span class="key answered">{t("board.answered")}</span>
      </h2>
      <Plot drawing={useDrawing(points, volume)} label={t("board.volume")} />
      {!tv && (
        <details>
          <summary>{t("board.table")}</summary>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("board.time")}</th>
                  <th scope="col">{t("board.came")}</th>
                  <th scope="col">{t("board.answered")}</th>
                  <th scope="col">{t("board.abandoned")}</th>
                </tr>
              </thead>
              <tbody>
                {points.map((point) => (
                  <tr key={point.at}>
                    <th scope="row">{clock(point.at)}</th>
                    <td>{point.arrived}</td>
                    <td>{point.answered}</td>
                    <td>{point.abandoned}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </section>
  );
}

function Levels({ points, tv }: { points: Point[]; tv: boolean }) {
  return (
    <section class="chart" data-test="chart-levels">
      <h2>{t("board.levels")}</h2>
      <Plot drawing={useDrawing(points, levels)} label={t("board.levels")} />
      {!tv && (
        <details>
          <summary>{t("board.table")}</summary>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("board.day")}</th>
                  <th scope="col">{t("board.level")}</th>
                </tr>
              </thead>
              <tbody>
                {points.map((point) => {
                  const level = levelOf(point);
                  return (
                    <tr key={point.at}>
                      <th scope="row">{day(point.at)}</th>
                      <td>{level === null ? "–" : percent(level)}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </section>
  );
}
