//! A comparison as a picture: answers a second and server CPU for one, as bars.

use super::Comparison;
use super::cases::Field;
use super::figures::{Figures, Series};
use super::options::Client;
use crate::svg::{Anchor, Svg, colour};

const WIDTH: f64 = 960.0;
const ROW: f64 = 24.0;
const BAR: f64 = 17.0;
/// Room above the rows of a case, for its title.
const TITLE: f64 = 58.0;
/// Where names end.
const NAMES: f64 = 170.0;
/// Where the two columns of bars begin.
const RATES: f64 = 180.0;
const COSTS: f64 = 620.0;
/// The longest bar of a column; its figure stands behind it.
const LONGEST: f64 = 330.0;
const LONGEST_COST: f64 = 240.0;

/// The cases that a reader wants to see first; without one of them, all are drawn.
const SHOWN: [&str; 4] = ["add-64", "add-64x16", "echo-10k", "client-64"];

/// An SVG picture.
pub fn draw(comparison: &Comparison) -> String {
    let mut panels: Vec<(&str, Vec<(&Series, Figures)>)> = Vec::new();
    for case in &comparison.options.cases {
        let series = comparison.series.iter().filter(|one| one.case.name == case.name && one.client == Client::Own);
        let rows: Vec<_> = series.filter_map(|one| Some((one, one.figures()?))).collect();
        if !rows.is_empty() {
            panels.push((case.name, rows));
        }
    }
    if panels.iter().any(|(name, _)| SHOWN.contains(name)) {
        panels.retain(|(name, _)| SHOWN.contains(name));
    }
    let height: f64 = panels.iter().map(|(_, rows)| TITLE + rows.len() as f64 * ROW).sum();
    let mut svg = Svg::new(WIDTH, height + 34.0);
    let mut top = 0.0;
    for (_, rows) in &mut panels {
        rows.sort_by(|(_, a), (_, b)| b.per_s.total_cmp(&a.per_s));
        panel(&mut svg, top, rows);
        top += TITLE + rows.len() as f64 * ROW;
    }
    svg.text((10.0, top + 22.0), Anchor::Start, &comparison.machine);
    svg.finish()
}

fn panel(svg: &mut Svg, top: f64, rows: &[(&Series, Figures)]) {
    let Some((first, _)) = rows.first() else { return };
    svg.text((RATES, top + 24.0), Anchor::Start, first.case.title);
    svg.text((RATES, top + 46.0), Anchor::Start, "requests/s");
    let clients = first.case.field == Field::Clients;
    let cost = |figures: &Figures| if clients { figures.client_us } else { figures.server_us };
    let costs = if clients { "client CPU for one call" } else { "server CPU for one request" };
    svg.text((COSTS, top + 46.0), Anchor::Start, costs);
    let most = |value: &dyn Fn(&Figures) -> f64| rows.iter().map(|(_, figures)| value(figures)).fold(1e-9, f64::max);
    let (most_rate, most_cost) = (most(&|figures| figures.per_s), most(&|figures| cost(figures).unwrap_or_default()));
    for (index, (series, figures)) in rows.iter().enumerate() {
        let y = top + TITLE + index as f64 * ROW;
        // Ours in one colour, the others in another.
        let colour = colour(usize::from(!series.peer.ours));
        let mut bar = |left: f64, length: f64, text: &str| {
            svg.bar((left, y), length, BAR, colour);
            svg.text((left + length + 6.0, y + 13.0), Anchor::Start, text);
        };
        bar(RATES, figures.per_s / most_rate * LONGEST, &format!("{:.0}", figures.per_s));
        if let Some(us) = cost(figures) {
            bar(COSTS, us / most_cost * LONGEST_COST, &format!("{us:.1} us"));
        }
        svg.text((NAMES, y + 13.0), Anchor::End, series.peer.title);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;

    #[test]
    fn the_fastest_is_on_top() {
        let picture = draw(&comparison(&[("node", 100.0), ("ours", 260.0)], |_| {}));
        let at = |text: &str| picture.find(text);
        assert!(at(">fasttunnel<") < at(">node:http<") && at(">260<").is_some(), "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }

    #[test]
    fn no_measurement_is_an_empty_picture() {
        assert!(draw(&comparison(&[], |_| {})).ends_with("</svg>\n"));
    }
}
