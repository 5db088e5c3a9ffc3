//! The black-box corpus (`../shared/http/open.jsonl`) against the pure code: every vector of the layer `http`, whole
//! and cut, with a connection that has no socket. What the routes would answer is unknown here, so an accepted request
//! stands for any final answer that a route may give.

mod wire_corpus;

use fasttunnel_engine::wire::body::BodyReader;
use fasttunnel_engine::wire::head::{Head, HeadLimits, HeadScanner, Scan};
use wire_corpus::{Expectation, Vector};

/// CONTRACT 10: the default of `limits.json.maxSize`.
const MAX_BODY_BYTES: u64 = 2_097_152;
/// Inputs up to this length are cut in two at every position.
const SMALL: usize = 300;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The parser accepts it; a route answers.
    Accepted { expect_continue: bool },
    /// The parser refuses it with this status, then closes.
    Refused(u16),
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    answers: Vec<Answer>,
    closed: bool,
    /// Bytes of an incomplete request are left.
    pending: bool,
}

/// A connection without a socket.
#[derive(Default)]
struct Wire {
    buffer: Vec<u8>,
    scanner: HeadScanner,
    head: Head,
    body: Option<BodyReader>,
    outcome: Outcome,
}

impl Wire {
    fn feed(&mut self, bytes: &[u8]) {
        if self.outcome.closed {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if let Err(status) = self.advance() {
            self.outcome.answers.push(Answer::Refused(status));
            self.outcome.closed = true;
        }
    }

    fn advance(&mut self) -> Result<(), u16> {
        let limits = HeadLimits::default();
        loop {
            if self.body.is_none() {
                let Scan::Complete { start, end } =
                    self.scanner.find(&self.buffer, &limits).map_err(|error| error.status())?
                else {
                    return Ok(());
                };
                self.head.parse(&self.buffer[start..end], &limits).map_err(|error| error.status())?;
                self.scanner.reset();
                self.buffer.drain(..end);
                self.body = Some(BodyReader::new(self.head.framing, MAX_BODY_BYTES));
            }
            let Some(body) = &mut self.body else { return Ok(()) };
            let step = body.read(&self.buffer, &mut Vec::new()).map_err(|error| error.status())?;
            self.buffer.drain(..step.consumed);
            if !step.done {
                return Ok(());
            }
            self.body = None;
            self.outcome.answers.push(Answer::Accepted { expect_continue: self.head.expect_continue });
            if !self.head.keep_alive {
                self.outcome.closed = true;
                return Ok(());
            }
        }
    }

    fn finish(mut self, end_of_input: bool) -> Outcome {
        self.outcome.pending = !self.outcome.closed && (!self.buffer.is_empty() || self.body.is_some());
        self.outcome.closed |= end_of_input;
        self.outcome
    }
}

fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>, end_of_input: bool) -> Outcome {
    let mut wire = Wire::default();
    parts.into_iter().for_each(|part| wire.feed(part));
    wire.finish(end_of_input)
}

/// May `answer` show as this token of the corpus' little language?
fn token_allows(token: &str, answer: Answer) -> bool {
    match answer {
        // Statuses that only the parser gives never mean that a request was accepted.
        Answer::Accepted { .. } => !matches!(token, "rej" | "400" | "414" | "417" | "431" | "501" | "505" | "5xx"),
        Answer::Refused(status) => match token {
            "any" => true,
            "rej" => (400..500).contains(&status) || matches!(status, 501 | 505),
            "ok" => status == 415,
            class if class.ends_with("xx") => class.starts_with(&(status / 100).to_string()),
            exact => exact == status.to_string(),
        },
    }
}

fn alternative_allows(alternative: &str, outcome: &Outcome) -> bool {
    let mut tokens: Vec<&str> = alternative.split(' ').filter(|token| !token.is_empty()).collect();
    let state = tokens.pop_if(|last| matches!(*last, "close" | "wait"));
    if let Some(many) = tokens.pop_if(|last| last.ends_with('+')) {
        while tokens.len() < outcome.answers.len().max(1) {
            tokens.push(many.trim_end_matches('+'));
        }
    }
    let all_accepted = outcome.answers.iter().all(|answer| matches!(answer, Answer::Accepted { .. }));
    let state_fits = match state {
        // A route may close behind its answer (413, drained too much): unknown here.
        Some("close") => outcome.closed || (all_accepted && !outcome.answers.is_empty()),
        Some(_) => !outcome.closed,
        None => true,
    };
    state_fits
        && tokens.len() == outcome.answers.len()
        && tokens.iter().zip(&outcome.answers).all(|(token, answer)| token_allows(token, *answer))
}

fn fits(expected: &Expectation, outcome: &Outcome) -> bool {
    let interim_fits = match (expected.interim.as_deref(), outcome.answers.first()) {
        (Some("100"), Some(Answer::Accepted { expect_continue })) => *expect_continue,
        (Some("none"), Some(Answer::Accepted { expect_continue })) => !*expect_continue,
        _ => true,
    };
    let close_fits = match expected.close {
        Some(true) => outcome.closed,
        Some(false) => !outcome.closed && !outcome.pending,
        None => true,
    };
    interim_fits && close_fits && expected.statuses.iter().any(|alternative| alternative_allows(alternative, outcome))
}

/// Ways to cut one vector; each must give the same outcome.
fn cuts(vector: &Vector) -> Vec<Vec<&[u8]>> {
    let bytes = &vector.bytes[..];
    let mut ways = vec![bytes.chunks(1460).collect(), bytes.chunks(7).collect()];
    if bytes.len() <= 20_000 {
        ways.push(bytes.chunks(1).collect());
    }
    if bytes.len() <= SMALL {
        ways.extend((1..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]));
    }
    ways
}

#[test]
fn every_http_vector_gets_a_verdict_that_the_corpus_allows() {
    let Some(vectors) = wire_corpus::read() else {
        println!("skipped: no corpus at {}", wire_corpus::path().display());
        return;
    };
    let mut failures = Vec::new();
    for vector in &vectors {
        let whole = run([&vector.bytes[..]], vector.end_of_input);
        if !fits(&vector.expected, &whole) {
            failures.push(format!("{}: {whole:?}, allowed {:?}", vector.id, vector.expected));
        }
        for parts in cuts(vector) {
            let first = parts.first().map_or(0, |part| part.len());
            let cut = run(parts, vector.end_of_input);
            if cut != whole {
                failures.push(format!("{} cut at {first}: {cut:?}, whole {whole:?}", vector.id));
                break;
            }
        }
    }
    assert!(vectors.len() > 500, "only {} vectors", vectors.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), vectors.len(), failures.join("\n"));
}
