//! What several fuzz targets share.

pub mod connection;
pub mod llhttp;
