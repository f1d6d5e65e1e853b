//! Detects whether a request was fully sent. If it was and no response came, the receiver may have accepted it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Tells whether the body of a request was handed to the connection.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// A body that sets this when the connection takes it, which is after the connection is established.
    #[must_use]
    pub fn watch(&self, bytes: Vec<u8>) -> reqwest::Body {
        if bytes.is_empty() {
            return reqwest::Body::default();
        }
        reqwest::Body::wrap(Watched { bytes: Some(bytes.into()), sent: self.clone() })
    }
}

struct Watched {
    bytes: Option<Bytes>,
    sent: Sent,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.sent.0.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
