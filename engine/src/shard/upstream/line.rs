//! What somebody waits for, and can be told to wait for no longer.

use std::rc::Rc;

/// See the module. No operation is dropped in flight: they are ended, and whoever has begun them hears of it.
pub(in crate::shard) trait Line {
    /// Ends what is under way.
    fn cut(&self);

    /// The time has moved on.
    fn look(&self) {}
}

/// Lets go of what was waited for.
pub(in crate::shard) type SharedLine = Rc<dyn Line>;
