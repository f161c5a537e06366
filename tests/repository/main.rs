//! The repository itself: the committed headers, which module may use which, and
//! that each fact about a server has a test.

mod header;
mod layering;
mod servers;
