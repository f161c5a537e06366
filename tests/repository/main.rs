//! The repository itself: the committed headers, and which module may use which.

mod header;
mod layering;
