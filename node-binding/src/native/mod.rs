//! The native utilities: files, directories, commands and sessions. Nothing here knows Node.
//!
//! [`desk`] takes the operations of one environment. It gives them to the threads of [`pool`]; what has to wait for others
//! (a command, a FIFO) goes on to the one thread of [`watch`], so that nobody can hold a thread of the pool for ever. Both
//! put outcomes into one place, and JavaScript is woken to fetch them.
//!
//! [`read`], [`write`], [`walk`] and [`command`] are the operations, [`walk_plan`] decides which directories a walk enters,
//! and [`find_program`] which file a command is. [`session`] is memory alone.

pub mod cancel;
pub mod command;
pub mod desk;
pub mod failure;
pub mod find_program;
pub mod outcome;
pub mod output;
pub mod pool;
pub mod read;
pub mod session;
pub mod stream;
pub mod walk;
pub mod walk_plan;
pub mod watch;
pub mod write;
