//! Numbers in tables of the documentation: what stands between `<!-- facts: NAME -->` and `<!-- facts end -->` has the
//! defaults and ranges of the engine. All else in such a table is written by hand.

use fasttunnel_engine::bounds::{self, Bound};

/// The tables that there are.
fn bounds_of(name: &str) -> Option<&'static [Bound]> {
    match name {
        "LIMITS" => Some(&bounds::LIMITS),
        "NUMBERS" => Some(&bounds::OPTIONS),
        "MULTIPART" => Some(&bounds::MULTIPART),
        _ => None,
    }
}

/// `text` with the numbers that it should have. An error names what cannot be filled in.
pub fn filled(text: &str) -> Result<String, String> {
    let (mut out, mut table, mut columns) = (String::new(), None, Vec::new());
    for line in text.lines() {
        let name = line.strip_prefix("<!-- facts: ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(name) = name {
            table = Some(bounds_of(name).ok_or_else(|| format!("there is no table {name}"))?);
            columns = Vec::new();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match table {
            Some(_) if line == "<!-- facts end -->" => {
                table = None;
            }
            Some(_) if columns.is_empty() && line.starts_with('|') => columns.clone_from(&cells),
            Some(bounds) => {
                let option = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
                let option = option.map(|path| path.rsplit('.').next().unwrap_or(path));
                if let Some(bound) = bounds.iter().find(|bound| Some(bound.option) == option) {
                    out += &row(&columns, &cells, bound);
                    continue;
                }
            }
            None => {}
        }
        out += line;
        out.push('\n');
    }
    if table.is_some() { Err("a table does not end: <!-- facts end -->".to_owned()) } else { Ok(out) }
}

/// A row with the numbers of `bound`.
fn row(columns: &[&str], cells: &[&str], bound: &Bound) -> String {
    let mut line = String::from("|");
    for (column, cell) in columns.iter().zip(cells).skip(1).take(cells.len().saturating_sub(2)) {
        let cell = match *column {
            "default" => default(bound),
            "range" | "shape" => range(bound),
            _ => (*cell).to_owned(),
        };
        line += &format!(" {cell} |");
    }
    line + "\n"
}

/// The default, and what 0 means.
fn default(bound: &Bound) -> String {
    let zero = bound.unit.and_then(|unit| unit.split_once("0 = ")).map(|(_, meaning)| meaning);
    match (bound.default, zero) {
        (None, _) => "none".to_owned(),
        (Some(0), Some(zero)) => format!("0: {zero}"),
        (Some(default), Some(zero)) => format!("{default} (0: {zero})"),
        (Some(default), None) => default.to_string(),
    }
}

fn range(bound: &Bound) -> String {
    bound.most.map_or_else(|| format!("from {}", bound.least), |most| format!("{} to {most}", bound.least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "before\n<!-- facts: NUMBERS -->\n| option | default | shape | what it does |\n|---|---|---|---|\n\
        | `port` | 9 | 1 to 2 | TCP port |\n| `host` | `a` | string | a name |\n| `x.maxAge` | 3 | | seconds |\n\
        | `shards` | 0 | 0 to 64 | threads |\n<!-- facts end -->\n| `port` | 9 | 1 to 2 |\n";

    #[test]
    fn numbers_are_filled_in_and_all_else_stays() {
        let expected = TABLE
            .replacen("| 9 | 1 to 2 | TCP", "| 0 | 0 to 65535 | TCP", 1)
            .replace("| 3 | | seconds", "| none | 0 to 2147483647 | seconds")
            .replace("| 0 | 0 to 64 |", "| 0: by the number of cores | 0 to 64 |");
        assert_eq!(filled(TABLE), Ok(expected.clone()));
        assert_eq!(filled(&expected), Ok(expected), "what is filled in stays as it is");
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        assert_eq!(filled("<!-- facts: LIMIT -->\n"), Err("there is no table LIMIT".to_owned()));
        assert!(filled("<!-- facts: LIMITS -->\n").is_err_and(|error| error.contains("does not end")));
    }
}
