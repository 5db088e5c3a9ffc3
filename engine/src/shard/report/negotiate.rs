//! Which text format a scraper wants (RFC 9110 12.5.1): OpenMetrics 1.0 where it asks for that before the older one.

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text 0.0.4, which everybody reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Chooses by the value of `Accept`.
pub(super) fn format(accept: &[u8]) -> Format {
    let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
    let (mut open, mut plain) = (0.0, 0.0_f64);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let (mut quality, mut version) = (1.0_f64, None);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        match name {
            "application/openmetrics-text" if version.as_deref().is_none_or(|version| version == "1.0.0") => {
                open = quality.max(open);
            }
            "text/plain" => plain = quality.max(plain),
            _ => {}
        }
    }
    if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Prometheus }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        use Format::{OpenMetrics, Prometheus};
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, wanted) in [
            (prometheus, OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", OpenMetrics),
            ("", Prometheus),
            ("*/*", Prometheus),
            ("text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.9", Prometheus),
            ("application/openmetrics-text;version=0.0.1", Prometheus),
            ("application/openmetrics-text;version=1.0.0;q=0", Prometheus),
            ("application/openmetrics-text;q=x", Prometheus),
        ] {
            assert_eq!(format(accept.as_bytes()), wanted, "{accept}");
        }
    }
}
