//! Bodies that are made piece by piece, at the pace of the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::error::ApiError;

/// The pieces as they come. An error ends the connection.
#[derive(Debug)]
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Result<Bytes, ApiError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        let next = self.0.poll_recv(context);
        next.map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
    }
}
