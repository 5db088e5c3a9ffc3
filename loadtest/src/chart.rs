//! Draws results: latency by percentile, answers a second, server CPU for one answer.

use crate::record::Summary;
use crate::report::time;
use crate::svg::{Anchor, Svg, colour};

const WIDTH: f64 = 960.0;
const GRID: &str = "#dddddd";
/// The curves' area: left, top, right, bottom.
const CURVES: (f64, f64, f64, f64) = (70.0, 50.0, 930.0, 330.0);
const BARS_TOP: f64 = 395.0;
const BAR_HEIGHT: f64 = 18.0;

/// An SVG picture of the runs.
pub fn draw(runs: &[Summary]) -> String {
    let height = BARS_TOP + runs.len() as f64 * (BAR_HEIGHT + 8.0) + 25.0;
    let mut svg = Svg::new(WIDTH, height);
    curves(&mut svg, runs);
    let per_s = |run: &Summary| (run.per_s, format!("{:.0}/s", run.per_s));
    bars(&mut svg, 70.0, "answers a second", runs, per_s);
    let cpu = |run: &Summary| match run.server_us {
        Some(us) => (us, format!("{us:.2} us")),
        None => (0.0, "unknown".to_owned()),
    };
    bars(&mut svg, 520.0, "server CPU for one answer", runs, cpu);
    svg.finish()
}

/// Where a quantile stands, 0 to 1: each further nine takes the same room.
fn across(quantile: f64) -> f64 {
    (-(1.0 - quantile).max(1e-5).log10() / 5.0).clamp(0.0, 1.0)
}

fn curves(svg: &mut Svg, runs: &[Summary]) {
    let (left, top, right, bottom) = CURVES;
    // The largest value of all stands at no percentile; the curves end at 99.999.
    let shown = |run: &Summary| -> Vec<(f64, f64)> {
        run.latencies_us.iter().copied().filter(|(q, us)| *q < 1.0 && *us > 0.0).collect()
    };
    let values: Vec<f64> = runs.iter().flat_map(shown).map(|(_, us)| us.log10()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min).min(6.0).floor();
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(low + 1.0).ceil();
    let x = |quantile: f64| left + across(quantile) * (right - left);
    let y = |log: f64| bottom - (log - low) / (high - low) * (bottom - top);
    svg.text((left, top - 25.0), Anchor::Start, "latency by percentile");
    for quantile in [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999] {
        svg.line((x(quantile), top), (x(quantile), bottom), GRID);
        svg.text((x(quantile), bottom + 16.0), Anchor::Middle, &format!("{}", (quantile * 1e5).round() / 1e3));
    }
    // At most 60 s: a handful of decades.
    let mut log = low;
    while log <= high {
        svg.line((left, y(log)), (right, y(log)), GRID);
        svg.text((left - 6.0, y(log) + 4.0), Anchor::End, &time(10f64.powf(log)));
        log += 1.0;
    }
    for (index, run) in runs.iter().enumerate() {
        let points: Vec<_> = shown(run).iter().map(|(q, us)| (x(*q), y(us.log10()))).collect();
        svg.curve(&points, colour(index));
        let row = top + 14.0 + 17.0 * index as f64;
        svg.bar((left + 10.0, row - 9.0), 10.0, 10.0, colour(index));
        svg.text((left + 26.0, row), Anchor::Start, &run.label);
    }
}

fn bars(svg: &mut Svg, left: f64, title: &str, runs: &[Summary], value: impl Fn(&Summary) -> (f64, String)) {
    const LONGEST: f64 = 300.0;
    svg.text((left, BARS_TOP - 12.0), Anchor::Start, title);
    let most = runs.iter().map(|run| value(run).0).fold(1e-9, f64::max);
    for (index, run) in runs.iter().enumerate() {
        let (amount, text) = value(run);
        let (top, width) = (BARS_TOP + index as f64 * (BAR_HEIGHT + 8.0), amount / most * LONGEST);
        svg.bar((left, top), width, BAR_HEIGHT, colour(index));
        svg.text((left + width + 6.0, top + 13.0), Anchor::Start, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(label: &str) -> Summary {
        let latencies_us = vec![(0.0, 0.0), (0.5, 90.0), (0.99, 400.0), (0.99999, 3000.0), (1.0, 9000.0)];
        Summary { label: label.into(), per_s: 1000.0, server_us: None, latencies_us }
    }

    #[test]
    fn every_run_has_a_curve_and_its_name() {
        let picture = draw(&[run("one"), run("<two> & more")]);
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains(">one<") && picture.contains("&lt;two&gt; &amp; more"));
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }

    #[test]
    fn no_figures_draw_an_empty_chart() {
        let nothing = Summary { latencies_us: Vec::new(), per_s: 0.0, ..run("nothing") };
        assert!(!draw(&[nothing]).contains("NaN"));
    }

    #[test]
    fn nines_are_evenly_spaced() {
        assert!((across(0.99) - 2.0 / 5.0).abs() < 1e-9 && across(0.0) == 0.0 && across(1.0) == 1.0);
    }
}
