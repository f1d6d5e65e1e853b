//! The effective configuration as it is shown, compressed: with many servers it is large, and it is rarely read.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;

/// The effective configuration as JSON with secrets masked: `{"values": {…}, "sources": {"http.listen": "default", …}}`.
/// Cheap to clone.
#[derive(Clone)]
pub struct ShownConfig(Arc<[u8]>);

impl Default for ShownConfig {
    fn default() -> Self {
        Self::of(&serde_json::json!({}))
    }
}

impl ShownConfig {
    pub(super) fn of(effective: &impl Serialize) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        // The compressor takes large pieces only, and the text has many small ones.
        let mut buffered = io::BufWriter::with_capacity(1 << 16, &mut encoder);
        serde_json::to_writer(&mut buffered, effective).expect("values and texts can be written as JSON");
        io::Write::flush(&mut buffered).expect("memory can be written");
        drop(buffered);
        Self(encoder.finish().expect("memory can be written").into())
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        DeflateDecoder::new(&*self.0).read_to_string(&mut text).expect("this is what was compressed");
        text
    }

    /// The same, with `vantage` as the name of the monitor.
    pub(super) fn named(&self, vantage: &str) -> Self {
        let mut shown: serde_json::Value = serde_json::from_str(&self.text()).expect("this is what was written");
        shown["values"]["monitor"]["vantage"] = vantage.into();
        Self::of(&shown)
    }
}

impl fmt::Debug for ShownConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_configuration_is_kept_in_a_tenth_of_its_size() {
        let server = |n: usize| serde_json::json!({"name": format!("server-{n:05}"), "poll_interval": "16s"});
        let servers: Vec<_> = (0..1000).map(server).collect();
        let effective = serde_json::json!({"values": {"server": servers, "monitor": {"vantage": "a"}}});
        let shown = ShownConfig::of(&effective);
        assert_eq!(shown.text(), effective.to_string());
        assert!(shown.0.len() * 10 < shown.text().len(), "{shown:?}");
        assert_eq!(shown.named("b").text(), effective.to_string().replace("\"a\"", "\"b\""));
    }
}
