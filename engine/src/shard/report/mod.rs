//! What is told of the engine to those who watch it: as JSON for the package and the dashboard, as text for metrics
//! systems. Read from what every thread counts, by whichever shard is asked.

pub mod figures;
mod histograms;
pub mod json;
pub mod names;
mod negotiate;
pub(in crate::shard) mod pages;
mod process;
pub(in crate::shard) mod reports;
mod text;
