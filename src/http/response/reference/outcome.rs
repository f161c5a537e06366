//! The outcomes of reading, and how two of them differ.

use std::fmt;

/// The longest body that the readers accept.
pub(super) const MAX_BODY_BYTES: usize = 2000;

/// The end of reading a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete(Reading),
    /// The response is malformed, too long or cut.
    Failed {
        /// The status and the body, as far as they were read.
        status: Option<u16>,
        body: Vec<u8>,
    },
}

/// A response that was read. A reader that does not know a property leaves it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// How many bytes of the connection follow the response.
    pub(super) left_over: Option<usize>,
    /// Whether the connection can be used again.
    pub(super) keeps_alive: Option<bool>,
    pub(super) headers: Option<Headers>,
}

/// The headers that the library uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) retry_after: Option<String>,
    pub(super) date: Option<String>,
}

impl Outcome {
    /// Returns whether nothing that `reference` knows contradicts this outcome.
    pub(super) fn agrees_with(&self, reference: &Outcome) -> bool {
        differences(self, reference).is_empty()
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self, Outcome::Failed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Complete(Reading { status, body, left_over, keeps_alive, headers }) => {
                let body = body.escape_ascii();
                write!(f, "{status} \"{body}\", left over {left_over:?}, keeps alive {keeps_alive:?}, {headers:?}")
            }
            Outcome::Failed { status, body } => write!(f, "failed after {status:?} \"{}\"", body.escape_ascii()),
        }
    }
}

/// How the two readers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Ours refuses each response of this shape. ureq may read it.
    WeRefuse,
    /// Ours may read it, and ureq refuses it.
    UreqRefuses,
    /// Both read it, and differ in the status or the body.
    Content,
    /// Both read it, and differ in where the response ends.
    End,
    /// Both read it, and differ in whether the connection can be used again.
    KeepAlive,
    /// Both read it, and differ in the headers that the library uses.
    Headers,
}

/// Returns how an outcome differs from what is known of another one.
pub(super) fn differences(ours: &Outcome, theirs: &Outcome) -> Vec<Aspect> {
    let (ours, theirs) = match (ours, theirs) {
        (Outcome::Complete(ours), Outcome::Complete(theirs)) => (ours, theirs),
        (Outcome::Failed { .. }, Outcome::Complete(_)) => return vec![Aspect::WeRefuse],
        (Outcome::Complete(_), Outcome::Failed { .. }) => return vec![Aspect::UreqRefuses],
        // One reader may notice the fault some bytes later than the other.
        (Outcome::Failed { status, body }, Outcome::Failed { status: known_status, body: known_body }) => {
            let status_agrees = known_status.is_none() || status == known_status;
            let body_agrees = body.starts_with(known_body) || known_body.starts_with(body);
            return if status_agrees && body_agrees { vec![] } else { vec![Aspect::Content] };
        }
    };
    let differ = [
        (Aspect::Content, (ours.status, &ours.body) != (theirs.status, &theirs.body)),
        (Aspect::End, theirs.left_over.is_some() && ours.left_over != theirs.left_over),
        (Aspect::KeepAlive, theirs.keeps_alive.is_some() && ours.keeps_alive != theirs.keeps_alive),
        (Aspect::Headers, theirs.headers.is_some() && ours.headers != theirs.headers),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(aspect, _)| aspect).collect()
}
