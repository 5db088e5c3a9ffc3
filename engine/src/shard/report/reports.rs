//! The figures as they are sent: each way of telling them is kept for a moment, so that scrapes in a flood cost little.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::figures::Figures;
use super::negotiate::{self, Format};
use super::pages;
use super::{json, text};
use crate::limits::{MAX_VIEWERS, REPORT_AGE_MS, VIEW_MS};
use crate::link::clock;
use crate::shard::exchange::sink::Place;
use crate::tunnel::admin::AdminAnswer;

/// What is told in one way, and when it was read.
#[derive(Default)]
struct Kept {
    at_ns: u64,
    text: Vec<u8>,
}

/// See the module. Of one shard.
pub(in crate::shard) struct Reports {
    figures: Arc<Figures>,
    /// There is a dashboard.
    pub dashboard: bool,
    prometheus: RefCell<Kept>,
    open_metrics: RefCell<Kept>,
    json: RefCell<Kept>,
    /// Where answers to viewers are.
    viewers: RefCell<Vec<Place>>,
    next_view_ms: Cell<u64>,
}

impl Reports {
    pub fn new(figures: Arc<Figures>, dashboard: bool) -> Self {
        Reports {
            figures,
            dashboard,
            prometheus: RefCell::default(),
            open_metrics: RefCell::default(),
            json: RefCell::default(),
            viewers: RefCell::default(),
            next_view_ms: Cell::new(0),
        }
    }

    /// The text for metrics systems, in the format that a client accepts. `trouble`: why no calls are taken.
    pub fn metrics(&self, accept: &[u8], trouble: Option<&str>) -> AdminAnswer {
        let format = negotiate::format(accept);
        let (kept, fields) = match format {
            Format::Prometheus => (&self.prometheus, pages::PROMETHEUS),
            Format::OpenMetrics => (&self.open_metrics, pages::OPEN_METRICS),
        };
        let text = fresh(kept, || text::metrics(&self.figures, format, trouble.is_none()));
        AdminAnswer { status: 200, fields, text: text.into() }
    }

    /// The same as JSON.
    pub fn stats(&self, trouble: Option<&str>) -> AdminAnswer {
        AdminAnswer { status: 200, fields: pages::JSON, text: self.json(trouble).into() }
    }

    fn json(&self, trouble: Option<&str>) -> Vec<u8> {
        fresh(&self.json, || json::report(&self.figures, trouble))
    }

    /// The same as an event for viewers (HTML 9.2.5).
    pub fn event(&self, trouble: Option<&str>) -> Vec<u8> {
        [b"data: ", &self.json(trouble)[..], b"\n\n"].concat()
    }

    /// True while another viewer may come.
    pub fn has_room(&self) -> bool {
        self.viewers.borrow().len() < MAX_VIEWERS
    }

    pub fn add_viewer(&self, place: Place) {
        self.viewers.borrow_mut().push(place);
    }

    /// The viewers that are to be told now, if it is time.
    pub fn due(&self, now_ms: u64) -> Vec<Place> {
        if self.viewers.borrow().is_empty() || now_ms < self.next_view_ms.get() {
            return Vec::new();
        }
        self.next_view_ms.set(now_ms + VIEW_MS);
        self.viewers.borrow().clone()
    }

    /// Keeps those viewers that are still there.
    pub fn keep_viewers(&self, is_there: impl FnMut(&Place) -> bool) {
        self.viewers.borrow_mut().retain(is_there);
    }
}

/// What is kept, or read anew when that is too old.
fn fresh(kept: &RefCell<Kept>, read: impl FnOnce() -> String) -> Vec<u8> {
    let (mut kept, now_ns) = (kept.borrow_mut(), clock::now_ns());
    if kept.at_ns == 0 || now_ns.saturating_sub(kept.at_ns) >= REPORT_AGE_MS * 1_000_000 {
        *kept = Kept { at_ns: now_ns.max(1), text: read().into_bytes() };
    }
    kept.text.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_scrapes_gets_what_was_read_a_moment_ago() {
        let (kept, reads) = (RefCell::default(), Cell::new(0));
        let read = || {
            reads.set(reads.get() + 1);
            reads.get().to_string()
        };
        assert_eq!(fresh(&kept, read), b"1");
        kept.borrow_mut().at_ns = clock::now_ns() + 1_000_000_000;
        assert_eq!([fresh(&kept, read), fresh(&kept, read)], [b"1", b"1"]);
        kept.borrow_mut().at_ns = clock::now_ns().saturating_sub(REPORT_AGE_MS * 1_000_000);
        assert_eq!((fresh(&kept, read), reads.get()), (b"2".to_vec(), 2));
    }
}
