//! PURE: the Runner tunnel contract. No socket, clock, thread or unsafe.
//!
//! A head that was parsed by [`crate::wire`] goes to [`decide::Exposure::decide`], which says in the contract's
//! order of precedence what becomes of the request: a refusal, a preflight answer, the discovery document or a
//! call. The body of a call goes to [`json::JsonChecker`]. [`envelope`] writes what leaves.

pub mod admin;
pub mod advice;
pub mod array;
pub mod auth;
pub mod cors;
pub mod decide;
pub mod envelope;
pub mod json;
pub mod json_grammar;
pub mod json_string;
pub mod load;
pub mod multipart;
pub mod request;
pub mod request_id;
pub mod route;
pub mod table;
pub mod target;
