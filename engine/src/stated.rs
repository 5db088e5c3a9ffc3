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
