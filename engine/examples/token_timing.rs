//! How long it takes to refuse a wrong token of the tunnel, and wrong credentials of the proxy, by what is wrong with them:
//! `make timing`.
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

use fasttunnel_engine::link::contexts::Contexts;
use fasttunnel_engine::proxy::base64;
use fasttunnel_engine::proxy::credentials::{Names, Presented};
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions, AuthVerdict};
use fasttunnel_engine::wire::head::{Head, HeadLimits};

/// What is timed at once: one refusal is about as long as the clock is fine.
const AT_ONCE: usize = 16;
/// Slowest samples that are left out, in hundredths.
const TRIMMED: usize = 10;
const T_LIMIT: f64 = 3.0;

const SECRET: &str = "5c1f0d7a9be24386a1d3c5e7f9024b68";
const USERNAME: &str = "wc-123-00a1b2c3";

/// Who judges a guess.
enum Judge {
    Tunnel(AuthConfig),
    Proxy(Vec<Names>, Contexts),
}

impl Judge {
    fn of_contexts(all: Vec<Names>) -> Judge {
        let contexts = Contexts::default();
        assert!(all.iter().all(|names| contexts.add(names, None)));
        Judge::Proxy(all, contexts)
    }

    fn copy(&self) -> Judge {
        match self {
            Judge::Tunnel(auth) => Judge::Tunnel(auth.clone()),
            Judge::Proxy(all, _) => Judge::of_contexts(all.clone()),
        }
    }

    fn refuses(&self, head: &Head, bytes: &[u8]) -> bool {
        let fields = head.fields.of(bytes);
        match self {
            Judge::Tunnel(auth) => auth.verdict(fields) == AuthVerdict::Unauthorized,
            Judge::Proxy(_, contexts) => Presented::of(&fields).is_some_and(|it| contexts.find(&it).is_none()),
        }
    }

    /// A request, as far as the guess.
    fn start(&self) -> &'static str {
        match self {
            Judge::Tunnel(_) => "POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: x\r\nx-runner-token: ",
            Judge::Proxy(..) => "GET http://x/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ",
        }
    }
}

struct Guess {
    what: String,
    judge: Judge,
    text: String,
    times: Vec<f64>,
}

impl Guess {
    /// Of a token, against a secret and three others of its length.
    fn of_token(what: &str, secret: &str, token: String) -> Guess {
        let others = (0..3).map(|n| format!("{n}{}", &secret[1..]));
        let tokens = Some(others.chain([secret.to_owned()]).collect());
        let auth = AuthConfig::new(AuthOptions { tokens, ..AuthOptions::default() }).unwrap();
        Guess { what: format!("a token that {what}"), judge: Judge::Tunnel(auth), text: token, times: Vec::new() }
    }

    /// Of credentials, against those of a context and three others.
    fn of_credentials(what: &str, username: &str, password: &str) -> Guess {
        let context =
            |number: usize, username: String, password: String| Names { id: number.to_string(), username, password };
        let other =
            |number| context(number, format!("{number}{}", &USERNAME[1..]), format!("{number}{}", &SECRET[1..]));
        let all = (0..3).map(other).chain([context(3, username.to_owned(), password.to_owned())]).collect();
        let text = base64::encode(format!("{USERNAME}:{SECRET}").as_bytes());
        Guess { what: what.to_owned(), judge: Judge::of_contexts(all), text, times: Vec::new() }
    }
}

/// Guesses of one length; the first is what the others are compared with.
fn groups() -> [Vec<Guess>; 4] {
    let short = &SECRET[..31];
    let long = format!("{SECRET}9");
    [
        vec![
            Guess::of_token("differs at byte 0", SECRET, format!("x{}", &SECRET[1..])),
            Guess::of_token("differs at the last byte", SECRET, format!("{short}x")),
            Guess::of_token("has the right first half", SECRET, format!("{}{}", &SECRET[..16], "x".repeat(16))),
            Guess::of_token("has nothing in common", SECRET, "x".repeat(32)),
        ],
        vec![
            Guess::of_token("of 31 bytes is one too short", SECRET, short.to_owned()),
            Guess::of_token("of 31 bytes has the right length", short, format!("x{}", &short[1..])),
        ],
        vec![
            Guess::of_token("of 33 bytes is one too long", SECRET, long.clone()),
            Guess::of_token("of 33 bytes has the right length", &long, format!("x{}", &long[1..])),
        ],
        credentials(),
    ]
}

/// Of the proxy: the same guess, which is wrong in another way each time.
fn credentials() -> Vec<Guess> {
    vec![
        Guess::of_credentials("a password that differs at byte 0", USERNAME, &format!("x{}", &SECRET[1..])),
        Guess::of_credentials("a password that differs at the last byte", USERNAME, &format!("{}x", &SECRET[..31])),
        Guess::of_credentials("a password with nothing in common", USERNAME, &"x".repeat(32)),
        Guess::of_credentials("a password that is too long", USERNAME, &SECRET[..31]),
        Guess::of_credentials("a user name that nobody has", &format!("x{}", &USERNAME[1..]), SECRET),
        Guess::of_credentials("a user name that differs at the end", &format!("{}x", &USERNAME[..14]), SECRET),
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
            println!("{:46} {:7.2} ± {:5.2}   t = {t:5.2}", guess.what, summary.mean, summary.variance.sqrt());
        }
    }
    if constant { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(guesses: &mut [Guess], samples: usize) {
    let (head, mut bytes, place) = request(&guesses[0]);
    let count = guesses.len();
    // The first tenth warms up.
    for round in 0..samples + samples / 10 {
        for turn in 0..count {
            // Another one goes first each time.
            let guess = &mut guesses[(round + turn) % count];
            bytes[place..place + guess.text.len()].copy_from_slice(guess.text.as_bytes());
            // A copy, so that all of them are at the place that the one before has left.
            let judge = guess.judge.copy();
            let took = time(&judge, &head, &bytes);
            if round >= samples / 10 {
                guess.times.push(took);
            }
        }
    }
}

/// A request with room for a guess of this length, and where it goes.
fn request(guess: &Guess) -> (Head, Vec<u8>, usize) {
    let start = guess.judge.start();
    let bytes = format!("{start}{}\r\n\r\n", "-".repeat(guess.text.len())).into_bytes();
    let mut head = Head::default();
    head.parse(&bytes, &HeadLimits::default()).unwrap();
    (head, bytes, start.len())
}

/// Nanoseconds of one refusal.
fn time(judge: &Judge, head: &Head, bytes: &[u8]) -> f64 {
    let began = Instant::now();
    for _ in 0..AT_ONCE {
        assert!(black_box(judge).refuses(black_box(head), black_box(bytes)));
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
