//! Writes down what Rust and TypeScript both have to know (`fasttunnel_engine::facts`), for TypeScript, and the numbers in
//! tables of the documentation: `make facts`.
//!
//! `facts FILE.ts FILE.md ...` writes the files; `facts --check FILE.ts FILE.md ...` fails when one is not what would be
//! written.

mod tables;

use std::process::ExitCode;

use fasttunnel_engine::facts::{self, Fact, Value};

/// The file's text.
fn typescript() -> String {
    let mut text =
        "// Written by `make facts` from the engine's constants (engine/src/facts.rs). Do not change it by hand.\n\n\
        /** Another addon than the one with this hash states something below in another way. */\n"
            .to_owned();
    text += &format!("export const FACTS_HASH = '{}';\n", facts::hash());
    // Before the constants: what is hashed begins with the first of them.
    text += "/** What one shard has counted since it started. */\nexport interface ShardCounters {\n";
    for row in facts::shard_statistics() {
        text += &format!("  /** {} */\n  readonly {}: number;\n", row.says, row.camel_case());
    }
    text += "}\n";
    for fact in facts::all() {
        text += &constant(&fact);
    }
    text
}

/// A constant and what it is.
fn constant(fact: &Fact) -> String {
    let literal = if matches!(fact.value, Value::Record(_) | Value::Statistics(_)) { " as const" } else { "" };
    format!("/** {} */\nexport const {fact}{literal};\n", fact.says)
}

/// What `file` should be.
fn text_of(file: &str) -> Result<String, String> {
    if file.ends_with(".ts") {
        return Ok(typescript());
    }
    tables::filled(&read(file)?).map_err(|error| format!("{file}: {error}"))
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}. Run `make facts`."))
}

fn check(file: &str) -> Result<(), String> {
    if read(file)? == text_of(file)? {
        return Ok(());
    }
    Err(format!("{file} is not what the engine's constants say. Run `make facts`, and commit what it writes."))
}

fn write(file: &str) -> Result<(), String> {
    std::fs::write(file, text_of(file)?).map_err(|error| format!("{file}: {error}"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check", ref files @ ..] if !files.is_empty() => files.iter().try_for_each(|file| check(file)),
        [first, ..] if !first.starts_with('-') => arguments.iter().try_for_each(|file| write(file)),
        _ => Err("facts [--check] FILE.ts FILE.md ...".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
