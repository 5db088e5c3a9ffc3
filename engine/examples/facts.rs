//! Writes what Rust and TypeScript both have to know (`fasttunnel_engine::facts`) down for TypeScript: `make facts`.
//!
//! `facts FILE` writes the file; `facts --check FILE` fails when it is not what would be written.

use std::process::ExitCode;

use fasttunnel_engine::facts::{self, Fact, Value};

/// The file's text.
fn typescript() -> String {
    let mut text =
        "// Written by `make facts` from the engine's constants (engine/src/facts.rs). Do not change it by hand.\n\n\
        /** Another addon than the one with this hash states something below in another way. */\n"
            .to_owned();
    text += &format!("export const FACTS_HASH = '{}';\n", facts::hash());
    for fact in facts::all() {
        text += &constant(&fact);
    }
    text += "/** What one shard has counted since it started. */\nexport interface ShardCounters {\n";
    for row in facts::shard_statistics() {
        text += &format!("  /** {} */\n  readonly {}: number;\n", row.says, row.camel_case());
    }
    text + "}\n"
}

/// A constant and what it is.
fn constant(fact: &Fact) -> String {
    let literal = if matches!(fact.value, Value::Record(_) | Value::Statistics(_)) { " as const" } else { "" };
    format!("/** {} */\nexport const {fact}{literal};\n", fact.says)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check", file] => match std::fs::read_to_string(file) {
            Ok(text) if text == typescript() => Ok(()),
            Ok(_) => Err(format!(
                "{file} is not what the engine's constants say. Run `make facts`, and commit what it writes."
            )),
            Err(error) => Err(format!("{file}: {error}. Run `make facts`.")),
        },
        [file] => std::fs::write(file, typescript()).map_err(|error| format!("{file}: {error}")),
        _ => Err("facts [--check] FILE".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
