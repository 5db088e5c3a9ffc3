//! A comparison as text: Markdown that can be read as it is.

use std::fmt::Write;

use super::Comparison;
use super::cases::Field;
use super::figures::{Figures, Series, base};
use super::options::Client;
use crate::record::Limit;
use crate::report::time;

/// All of it. Writing to a string cannot fail: the results are of no interest.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    let options = &comparison.options;
    let _ = writeln!(
        out,
        "{}; {} of {:.1} s each after {:.1} s of warm-up, interleaved. Medians; ratios to {}, or to the first row where that did not run.\n",
        comparison.machine,
        count(options.rounds, "round"),
        options.duration.as_secs_f64(),
        options.warmup.as_secs_f64(),
        options.against.title,
    );
    for case in &options.cases {
        for client in options.clients(case) {
            let series: Vec<&Series> =
                comparison.series.iter().filter(|one| one.case.name == case.name && one.client == client).collect();
            if series.is_empty() {
                continue;
            }
            let rate = series[0].rate.map_or(String::new(), |rate| format!(": {rate} requests/s"));
            let by = if client == Client::Wrk { ", by wrk" } else { "" };
            let _ = writeln!(out, "### {}{rate}{by}\n\n{}", case.title, table(&rows(&series, comparison)));
        }
    }
    out.push_str(&verdicts(comparison));
    let _ = writeln!(out, "\nMeasured:\n");
    for (peer, introduction) in &comparison.introductions {
        let _ = writeln!(out, "- {}: {introduction}", peer.title);
    }
    for (peer, case, reason) in &comparison.left_out {
        let _ = writeln!(out, "- {} was left out of {}: {reason}", peer.title, case.name);
    }
    out
}

const HEAD: [&str; 11] = [
    "server",
    "requests/s",
    "worst to best",
    "ratio",
    "server CPU",
    "CPU ratio",
    "p50",
    "p99",
    "client CPU",
    "client ran",
    "rest",
];

fn rows(series: &[&Series], comparison: &Comparison) -> Vec<Vec<String>> {
    let base = base(series, comparison.options.against).and_then(Series::figures).unwrap_or_default();
    let row = |series: &&Series| {
        let figures = series.figures()?;
        let (rate, cpu) = figures.ratios(&base);
        let times = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}x"));
        let cost = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{us:.2} us"));
        Some(vec![
            series.peer.title.to_owned(),
            format!("{:.0}", figures.per_s),
            format!("{:.0} to {:.0}", figures.range_per_s.0, figures.range_per_s.1),
            times(rate),
            cost(figures.server_us),
            times(cpu),
            latency(figures.p50_us),
            latency(figures.p99_us),
            cost(figures.client_us),
            ran(&figures),
            format!("{:.2}", figures.rest_cores),
        ])
    };
    let mut head = HEAD.map(str::to_owned).to_vec();
    if series.iter().all(|series| series.case.field == Field::Clients) {
        head[0] = "client".to_owned();
    }
    std::iter::once(head).chain(series.iter().filter_map(row)).collect()
}

/// wrk has no percentiles of requests that it sends many at a time: it prints 0.
fn latency(us: f64) -> String {
    if us > 0.0 { time(us) } else { "-".to_owned() }
}

/// The client's part of a core, marked when it may have been the limit.
fn ran(figures: &Figures) -> String {
    let mark = match figures.limit() {
        Limit::Server => "",
        Limit::Generator => " (limit)",
        Limit::Machine => " (waited)",
    };
    format!("{:.0} %{mark}", figures.client_share * 100.0)
}

/// Columns of one width; the first one to the left, figures to the right.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(out, "| {cell:<width$} ") } else { write!(out, "| {cell:>width$} ") };
        }
        out.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let (line, end) = ("-".repeat(width + 1), if column == 0 { "-" } else { ":" });
                let _ = write!(out, "|{line}{end}");
            }
            out.push_str("|\n");
        }
    }
    out
}

/// Whether the figures are the servers' own.
fn verdicts(comparison: &Comparison) -> String {
    let all: Vec<(&Series, Figures)> =
        comparison.series.iter().filter_map(|series| Some((series, series.figures()?))).collect();
    let name = |series: &Series| format!("{} in {}", series.peer.title, series.case.name);
    // Where clients are compared, they are what should be the limit.
    let generated = || all.iter().filter(|(series, _)| series.case.field != Field::Clients);
    let named = |limit: Limit| {
        let names: Vec<String> =
            generated().filter(|(_, figures)| figures.limit() == limit).map(|(series, _)| name(series)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if all.is_empty() {
        return "Nothing was measured.\n".to_owned();
    }
    let mut out = String::new();
    if let Some((series, figures)) = generated().max_by(|(_, a), (_, b)| a.client_share.total_cmp(&b.client_share)) {
        let _ = writeln!(
            out,
            "The load generator is one thread; it ran for at most {:.0} % of the time ({}).",
            figures.client_share * 100.0,
            name(series)
        );
    }
    match named(Limit::Generator) {
        Some(names) => {
            let _ = writeln!(out, "IT MAY HAVE BEEN THE LIMIT of {names}: go by their CPU, not by their requests/s.");
        }
        None if generated().next().is_some() => out.push_str("It was not the limit of anything.\n"),
        None => {}
    }
    let rows = all.len();
    let waited = all.iter().filter(|(_, figures)| figures.limit() == Limit::Machine).count();
    if waited > 0 {
        let _ = writeln!(
            out,
            "In {waited} of {rows} rows, marked (waited), it could run and had no core for more than 10 % of the time: there the \
             cores were the limit, with the generator on them."
        );
    }
    let loud = all.iter().filter(|(_, figures)| !figures.was_quiet()).count();
    let most = all.iter().map(|(_, figures)| figures.rest_cores).fold(0.0, f64::max);
    let _ = match loud {
        0 => writeln!(out, "The rest of the machine was quiet: at most {most:.2} cores were busy with something else."),
        _ => writeln!(
            out,
            "THE MACHINE WAS BUSY WITH SOMETHING ELSE in {loud} of {rows} rows, with up to {most:.2} cores: measure again."
        ),
    };
    for (series, figures) in all.iter().filter(|(_, figures)| figures.failed > 0) {
        let first = series.samples.iter().find_map(|sample| sample.failure.as_deref()).unwrap_or_default();
        let _ =
            writeln!(out, "ERRORS: {} answers of {} were not the expected ones: {first}", figures.failed, name(series));
    }
    out
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;

    #[test]
    fn every_server_has_a_row_with_its_ratio() {
        let text = markdown(&comparison(&[("node", 100.0), ("ours", 260.0)], |_| {}));
        let row = |title: &str| text.lines().find(|line| line.starts_with(&format!("| {title} "))).unwrap_or_default();
        assert!(row("node:http").contains("1.00x") && row("fasttunnel").contains("2.60x"), "{text}");
        let widths: Vec<usize> = text.lines().filter(|line| line.starts_with('|')).map(str::len).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert!(
            text.contains("It was not the limit of anything.") && text.contains("The rest of the machine was quiet")
        );
        assert!(text.contains("3 rounds of 3.0 s each"), "{text}");
        assert!(markdown(&comparison(&[], |_| {})).contains("Nothing was measured."));
    }

    #[test]
    fn doubts_are_said() {
        let text = markdown(&comparison(&[("node", 100.0)], |sample| {
            sample.client_share = 0.99;
            sample.rest_cores = 0.5;
            sample.failed = 2;
            sample.failure = Some("HTTP/1.1 500".to_owned());
        }));
        for words in [
            "MAY HAVE BEEN THE LIMIT of node:http in add-64",
            "BUSY WITH SOMETHING ELSE in 1 of 1 rows, with up to 0.50 cores",
            "ERRORS: 6 answers of node:http in add-64 were not the expected ones: HTTP/1.1 500",
            "99 % (limit)",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
