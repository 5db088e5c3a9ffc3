//! The fields of what is told, and the page that shows it: files of this build, which load nothing from elsewhere.

use std::borrow::Cow;

use crate::tunnel::admin::{AdminAnswer, Page};
use crate::wire::field_lines::FieldLines;

/// Nobody else may show it or read it, and nobody in between may keep it.
macro_rules! fields {
    ($type:literal) => {
        FieldLines::new(
            concat!(
                "Cache-Control: no-store\r\nCross-Origin-Resource-Policy: same-origin\r\ncontent-type: ",
                $type,
                "\r\n"
            )
            .as_bytes(),
        )
    };
}

pub(super) const PROMETHEUS: FieldLines<'static> = fields!("text/plain; version=0.0.4; charset=utf-8");
pub(super) const OPEN_METRICS: FieldLines<'static> =
    fields!("application/openmetrics-text; version=1.0.0; charset=utf-8");
pub(super) const JSON: FieldLines<'static> = fields!("application/json; charset=utf-8");
pub(in crate::shard) const EVENTS: FieldLines<'static> = fields!("text/event-stream; charset=utf-8");
const SCRIPT: FieldLines<'static> = fields!("text/javascript; charset=utf-8");
const STYLE: FieldLines<'static> = fields!("text/css; charset=utf-8");
const HTML: FieldLines<'static> = FieldLines::new(
    b"Cache-Control: no-store\r\n\
      Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
      base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
      Cross-Origin-Opener-Policy: same-origin\r\n\
      Cross-Origin-Resource-Policy: same-origin\r\n\
      Referrer-Policy: no-referrer\r\n\
      content-type: text/html; charset=utf-8\r\n",
);

/// A file of the dashboard; none where a page is none.
pub(in crate::shard) fn file(page: Page) -> Option<AdminAnswer> {
    let (fields, text) = match page {
        Page::Dashboard => (HTML, &include_bytes!("../../../assets/dashboard.html")[..]),
        Page::Script => (SCRIPT, &include_bytes!("../../../assets/dashboard.js")[..]),
        Page::Style => (STYLE, &include_bytes!("../../../assets/dashboard.css")[..]),
        Page::Live | Page::Ready | Page::Load | Page::Metrics | Page::Stats | Page::Events => return None,
    };
    Some(AdminAnswer { status: 200, fields, text: Cow::Borrowed(text) })
}
