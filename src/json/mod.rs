//! JSON: reads what callers and servers wrote without building trees, and writes documents and
//! request bodies.

mod find;
mod reader;
mod scanner;
mod unescape;
mod writer;

pub use find::find;
pub use reader::{Json, shown};
pub use writer::Writer;
