//! Bodies, serialized once and without a tree: payloads are passed through.

use crate::error::Error;

/// Writes a JSON body.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// A body with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Result<Body, Error> {
        let mut body = Vec::new();
        body.try_reserve(bytes).map_err(|_| Error::Unavailable("memory"))?;
        Ok(Body(body))
    }

    /// How long it is so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Text that is JSON already.
    pub(super) fn text(&mut self, text: &str) -> &mut Body {
        self.bytes(text.as_bytes())
    }

    /// The same, as bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Body {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Text that becomes a JSON string.
    pub(super) fn string(&mut self, text: &str) -> &mut Body {
        // Neither a str nor a Vec can fail to be written.
        let _ = serde_json::to_writer(&mut self.0, text);
        self
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}
