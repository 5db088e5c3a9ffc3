//! Load generator for tunnels on this machine; `loadtest --help` says how.
//!
//! One thread, one io_uring. A connection is a task that keeps its requests under way ([`connection`]); [`load`] starts
//! them, tells the seconds and sums up; [`process`] reads what the server and the generator itself have cost. [`compare`]
//! starts servers and runs such loads against them in turns.

mod answer;
mod chart;
mod clock;
mod compare;
mod connection;
mod encrypted;
mod error;
mod known_head;
mod load;
mod options;
mod other;
mod process;
mod record;
mod report;
mod scenario;
mod schedule;
mod svg;
mod tally;
mod target;

use std::io::Write;
use std::process::ExitCode;

use error::Error;
use options::Command;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// False when an answer was not the expected one.
fn run() -> Result<bool, Error> {
    let (text, good) = match options::parse(std::env::args().skip(1))? {
        Command::Help => (options::HELP.to_owned(), true),
        Command::Chart(files) => (chart::draw(&record::read_all(&files)?), true),
        Command::Compare(options) => compare::run(*options)?,
        Command::Run(options) => {
            let record = load::run(&options, &|line| eprintln!("{line}"))?;
            if let Some(file) = &options.json {
                record::write(&record, file)?;
            }
            (report::table(&record), record.failures.is_empty())
        }
    };
    // A closed pipe (`| head`) is the reader's choice, not an error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(good)
}
