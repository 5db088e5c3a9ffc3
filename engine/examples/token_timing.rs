//! How long it takes to refuse a wrong token, by what is wrong with it: `make timing`.
//!
//! `cargo run --release -p fasttunnel-engine --example token_timing -- [samples]`
//!
//! Guesses take turns, so that whatever slows the machine down slows all of them, and each is read from the same place
//! as the others of its length. The slowest tenth of each is interruptions, and left out. Welch's t tells whether two
//! means differ by more than chance: beyond 3 in either direction a guesser would learn from the time, and this ends
//! with 1. A guess is compared with others of its length only: how long it takes to hash what he sends, he may know.
#![allow(clippy::unwrap_used)] // a measurement: an error may end it

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions, AuthVerdict};
use fasttunnel_engine::wire::head::{Head, HeadLimits};

/// What is timed at once: one refusal is about as long as the clock is fine.
const AT_ONCE: usize = 16;
/// Slowest samples that are left out, in hundredths.
const TRIMMED: usize = 10;
const T_LIMIT: f64 = 3.0;

const SECRET: &str = "5c1f0d7a9be24386a1d3c5e7f9024b68";

struct Guess {
    what: &'static str,
    auth: AuthConfig,
    token: String,
    times: Vec<f64>,
}

impl Guess {
    /// Against a secret, and three others of its length.
    fn new(what: &'static str, secret: &str, token: String) -> Guess {
        let others = (0..3).map(|n| format!("{n}{}", &secret[1..]));
        let tokens = Some(others.chain([secret.to_owned()]).collect());
        let auth = AuthConfig::new(AuthOptions { tokens, ..AuthOptions::default() }).unwrap();
        Guess { what, auth, token, times: Vec::new() }
    }
}

/// Guesses of one length; the first is what the others are compared with.
fn groups() -> [Vec<Guess>; 3] {
    let short = &SECRET[..31];
    let long = format!("{SECRET}9");
    [
        vec![
            Guess::new("differs at byte 0", SECRET, format!("x{}", &SECRET[1..])),
            Guess::new("differs at the last byte", SECRET, format!("{short}x")),
            Guess::new("has the right first half", SECRET, format!("{}{}", &SECRET[..16], "x".repeat(16))),
            Guess::new("has nothing in common", SECRET, "x".repeat(32)),
        ],
        vec![
            Guess::new("of 31 bytes is one too short", SECRET, short.to_owned()),
            Guess::new("of 31 bytes has the right length", short, format!("x{}", &short[1..])),
        ],
        vec![
            Guess::new("of 33 bytes is one too long", SECRET, long.clone()),
            Guess::new("of 33 bytes has the right length", &long, format!("x{}", &long[1..])),
        ],
    ]
}

fn main() -> ExitCode {
    let samples: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    println!(
        "{samples} samples of {AT_ONCE} refusals each; ns for one, and Welch's t against the first of that length"
    );
    let mut constant = true;
    for mut guesses in groups() {
        measure(&mut guesses, samples);
        let summaries: Vec<Summary> = guesses.iter().map(|guess| Summary::of(&guess.times)).collect();
        for (guess, summary) in guesses.iter().zip(&summaries) {
            let t = summary.t(&summaries[0]);
            constant &= t.abs() < T_LIMIT;
            println!(
                "a token that {:34} {:7.2} ± {:5.2}   t = {t:5.2}",
                guess.what,
                summary.mean,
                summary.variance.sqrt()
            );
        }
    }
    if constant { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(guesses: &mut [Guess], samples: usize) {
    let (head, mut bytes, place) = request(guesses[0].token.len());
    let count = guesses.len();
    // The first tenth warms up.
    for round in 0..samples + samples / 10 {
        for turn in 0..count {
            // Another one goes first each time.
            let guess = &mut guesses[(round + turn) % count];
            bytes[place..place + guess.token.len()].copy_from_slice(guess.token.as_bytes());
            // A copy, so that all of them are at the place that the one before has left.
            let auth = guess.auth.clone();
            let took = time(&auth, &head, &bytes);
            if round >= samples / 10 {
                guess.times.push(took);
            }
        }
    }
}

/// A request with room for a token of this length, and where it goes.
fn request(length: usize) -> (Head, Vec<u8>, usize) {
    let start = "POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: x\r\nx-runner-token: ";
    let bytes = format!("{start}{}\r\n\r\n", "-".repeat(length)).into_bytes();
    let mut head = Head::default();
    head.parse(&bytes, &HeadLimits::default()).unwrap();
    (head, bytes, start.len())
}

/// Nanoseconds of one refusal.
fn time(auth: &AuthConfig, head: &Head, bytes: &[u8]) -> f64 {
    let began = Instant::now();
    for _ in 0..AT_ONCE {
        assert_eq!(black_box(auth).verdict(black_box(head).fields.of(black_box(bytes))), AuthVerdict::Unauthorized);
    }
    began.elapsed().as_nanos() as f64 / AT_ONCE as f64
}

struct Summary {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Summary {
    fn of(times: &[f64]) -> Summary {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() - times.len() * TRIMMED / 100);
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Summary { count, mean, variance }
    }

    fn t(&self, other: &Summary) -> f64 {
        let error = (self.variance / self.count + other.variance / other.count).sqrt();
        if error == 0.0 { 0.0 } else { (self.mean - other.mean) / error }
    }
}
