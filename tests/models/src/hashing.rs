//! Hashes that are the same in each run, so that a schedule can be run again.

use std::hash::{BuildHasherDefault, DefaultHasher};

pub type Hashing = BuildHasherDefault<DefaultHasher>;
