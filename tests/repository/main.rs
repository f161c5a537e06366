//! The repository itself: the committed headers, which module may use which, that each fact about
//! a server has a test, and the README.

mod header;
mod layering;
mod readme;
mod servers;
