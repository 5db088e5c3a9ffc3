//! Numbers that another language has as well: each is stated once, and is a constant and a row of a table.

/// A row of such a table.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// The constant's name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Its documentation.
    pub says: &'static str,
}

/// What a number of the statistics counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What has happened since the start: it only grows.
    Counter,
    /// What is so now.
    Gauge,
}

impl Kind {
    /// As metrics systems call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// A number of the statistics.
#[derive(Clone, Copy, Debug)]
pub struct Statistic {
    /// Its name in Rust.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// What it means.
    pub says: &'static str,
}

impl Statistic {
    /// Its name in JavaScript: `handler_timeouts` is `handlerTimeouts` there.
    #[must_use]
    pub fn camel_case(&self) -> String {
        let mut words = self.name.split('_');
        let mut name = words.next().unwrap_or_default().to_owned();
        for word in words {
            let (first, rest) = word.split_at(word.len().min(1));
            name += &first.to_uppercase();
            name += rest;
        }
        name
    }
}

/// Constants, and `STATED`, the table of them. A module has one.
macro_rules! stated {
    ($($(#[doc = $says:literal])+ pub const $name:ident: $kind:ty = $value:expr;)+) => {
        $($(#[doc = $says])+ pub const $name: $kind = $value;)+

        /// All of them.
        pub const STATED: &[crate::stated::Stated] = &[$(
            crate::stated::Stated { name: stringify!($name), value: $name as u64, says: concat!($($says),+) },
        )+];
    };
}
