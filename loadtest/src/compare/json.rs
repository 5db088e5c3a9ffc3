//! A comparison as JSON, every measurement included.

use serde_json::{Value, json};

use super::Comparison;
use super::figures::{Sample, Series, base};

/// All of it.
pub fn value(comparison: &Comparison) -> Value {
    let options = &comparison.options;
    let left_out: Vec<Value> = comparison
        .left_out
        .iter()
        .map(|(peer, case, reason)| json!({ "server": peer.name, "case": case.name, "reason": reason }))
        .collect();
    let introductions: serde_json::Map<String, Value> =
        comparison.introductions.iter().map(|(peer, text)| (peer.name.to_owned(), text.as_str().into())).collect();
    json!({
        "machine": comparison.machine,
        "measured_at_unix_s": comparison.measured_at_unix_s,
        "rounds": options.rounds,
        "duration_s": options.duration.as_secs_f64(),
        "warmup_s": options.warmup.as_secs_f64(),
        "against": options.against.name,
        "servers": introductions,
        "left_out": left_out,
        "series": comparison.series.iter().filter_map(|one| series(one, comparison)).collect::<Vec<_>>(),
    })
}

fn series(one: &Series, comparison: &Comparison) -> Option<Value> {
    let figures = one.figures()?;
    let peers: Vec<&Series> = comparison
        .series
        .iter()
        .filter(|other| other.case.name == one.case.name && other.client == one.client)
        .collect();
    let base = base(&peers, comparison.options.against)?;
    let (rate_ratio, cpu_ratio) = figures.ratios(&base.figures()?);
    Some(json!({
        "case": one.case.name,
        "server": one.peer.name,
        "title": one.peer.title,
        "client": one.client.name(),
        "connections": one.case.connections,
        "pipeline": one.case.pipeline,
        "rate_per_s": one.rate,
        "answers_per_s": figures.per_s,
        "answers_per_s_range": [figures.range_per_s.0, figures.range_per_s.1],
        "latency_us": { "p50": figures.p50_us, "p99": figures.p99_us },
        "server_cpu_us_per_answer": figures.server_us,
        "against": { "server": base.peer.name, "answers_per_s": rate_ratio, "server_cpu": cpu_ratio },
        "client_cpu_us_per_answer": figures.client_us,
        "client_share_of_a_core": figures.client_share,
        "client_waited_for_a_core": figures.client_waited,
        "limit": figures.limit().name(),
        "rest_of_the_machine_cores": figures.rest_cores,
        "failed": figures.failed,
        "rounds": one.samples.iter().map(sample).collect::<Vec<_>>(),
    }))
}

fn sample(sample: &Sample) -> Value {
    json!({
        "answers_per_s": sample.per_s,
        "p50_us": sample.p50_us,
        "p99_us": sample.p99_us,
        "server_cpu_us_per_answer": sample.server_us,
        "client_cpu_us_per_answer": sample.client_us,
        "client_share_of_a_core": sample.client_share,
        "client_waited_for_a_core": sample.client_waited,
        "rest_of_the_machine_cores": sample.rest_cores,
        "failed": sample.failed,
        "first_failure": sample.failure,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;

    #[test]
    fn every_measurement_is_there() {
        let value = value(&comparison(&[("node", 100.0), ("ours", 260.0)], |_| {}));
        let ours = &value["series"][1];
        assert_eq!((&ours["server"], &ours["answers_per_s"]), (&json!("ours"), &json!(260.0)));
        assert_eq!(ours["against"]["server"], "node");
        assert_eq!(ours["against"]["answers_per_s"], 2.6);
        assert_eq!(ours["rounds"].as_array().map(Vec::len), Some(3));
    }
}
